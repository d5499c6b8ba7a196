/* SPDX-License-Identifier: MIT */
/*
 * What the library promises, in the plainest way: a list of hooks in run order, a copy of it for each fork, and pids
 * to tell processes.  For one thread, and slow.  Its own state is in plain memory, which each fork copies.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "callbacks.h"
#include "raw_fork.h"
#include "streams.h"

/* A hook takes part in later forks; or only in those under way; or in none. */
enum state { LIVE, RETIRED, GONE };

struct entry {
  struct entry *before, *after; /* in run order */
  atfork_id id;
  struct atfork_hook hook;
  enum owner owner;
  uint64_t generation;
  enum state state;
};

static struct entry *first, *last;
static atfork_id latest_id = UINT64_C(1) << 32; /* none is garbage */

/* A fork or a visit under way. */
struct frame {
  struct frame *outer;
  struct entry **hooks; /* in run order */
  size_t count;
  bool visits;
  bool is_over;
  bool begins_anew;         /* it has no hooks for the moment */
  uint64_t number;          /* of the child to come, while no callback runs, but other libraries' handlers may; or 0 */
  const struct entry *only; /* it waits for this hook, with nothing prepared; NULL: it does not */
};

static struct frame *innermost;

static struct {
  pid_t pid;
  pid_t thread; /* what the C library has noted: it is not told of system calls */
  uint64_t generation, children, run;
  enum atfork_place place;
  char lineage[LINEAGE_SIZE];
  bool owes;      /* child hooks are due here */
  bool is_called; /* something has called the library, here or in a process above */
  struct {
    pid_t parent; /* of whose fork, before the first call, this process is the child, perhaps; or 0 */
    uint64_t number;
  } note;
  struct {
    pid_t pid;
    uint64_t generation;
  } done[CONTROLS];
} me;

void model_begin(uint64_t generation, const char *lineage, uint64_t run, enum atfork_place place, bool is_called) {
  me.is_called = is_called;
  me.thread = getpid();
  me.pid = getpid();
  me.generation = generation;
  me.run = run;
  me.place = place;
  snprintf(me.lineage, sizeof me.lineage, "%s", lineage);
}

/* ---- Processes ---- */

/* A child that comes back into outer forks makes them, too, with the numbers that they have. */
static uint64_t numbers_taken(void) {
  uint64_t highest = 0;
  for (const struct frame *frame = innermost == NULL ? NULL : innermost->outer; frame != NULL; frame = frame->outer)
    if (frame->number > highest) highest = frame->number;
  return highest;
}

static void become_child(const char *name) {
  size_t length = strlen(me.lineage);
  snprintf(me.lineage + length, sizeof me.lineage - length, ".%s", name);
  me.pid = getpid();
  me.generation++;
  me.children = numbers_taken();
  me.place = ATFORK_FORKED;
  me.owes = true;
  me.note.parent = 0;
}

/* Of the fork whose child this is, which is prepared or was noted; 0: of one that bypassed the handlers. */
static uint64_t number_of_fork(void) {
  if (innermost != NULL && innermost->number != 0) return innermost->number;
  return me.note.parent != 0 && me.note.parent == getppid() ? me.note.number : 0;
}

static void find_out(void) {
  char name[32];
  if (me.pid == getpid()) return;
  uint64_t number = number_of_fork();
  if (number != 0)
    snprintf(name, sizeof name, "%llu", (unsigned long long)number);
  else
    snprintf(name, sizeof name, "p%d", (int)getpid());
  become_child(name);
}

/* Each call looks whether this is a new process. */
static void look(void) {
  me.is_called = true;
  find_out();
}

/* ---- The list ---- */

static bool is_valid(const struct atfork_hook *hook) {
  if (hook->priority < ATFORK_PRIORITY_MIN || hook->priority > ATFORK_PRIORITY_MAX) return false;
  if (hook->prepare != NULL && hook->try_prepare != NULL) return false;
  if (hook->wait != NULL && hook->try_prepare == NULL) return false;
  return hook->prepare != NULL || hook->try_prepare != NULL || hook->parent != NULL || hook->child != NULL;
}

/* Behind all hooks of its priority. */
static void put_in_order(struct entry *entry) {
  entry->before = last;
  while (entry->before != NULL && entry->before->hook.priority > entry->hook.priority)
    entry->before = entry->before->before;
  entry->after = entry->before == NULL ? first : entry->before->after;
  *(entry->before == NULL ? &first : &entry->before->after) = entry;
  *(entry->after == NULL ? &last : &entry->after->before) = entry;
}

/* What exit() has to call: the end of an object, if it has registered hooks, or a script. */
static struct ending {
  bool is_object;
  int which;
} endings[OWNERS + 16];
static int endings_count;

static int ending_of(enum owner owner) {
  int i = endings_count - 1;
  while (i >= 0 && (!endings[i].is_object || endings[i].which != (int)owner)) i--;
  return i;
}

static void note_owner(enum owner owner) {
  if (owner == OF_NOBODY || ending_of(owner) >= 0) return;
  endings[endings_count++] = (struct ending){true, (int)owner};
}

static atfork_id add(const struct atfork_hook *hook, enum owner owner) {
  if (!is_valid(hook)) {
    errno = EINVAL;
    return 0;
  }
  look();
  struct entry *entry = calloc(1, sizeof *entry);
  *entry = (struct entry){.hook = *hook, .owner = owner, .generation = me.generation, .id = ++latest_id};
  entry->hook.name = strdup(hook->name);
  put_in_order(entry);
  note_owner(owner);
  return entry->id;
}

/* Its memory stays, as copies of the list may have it. */
static void bury(struct entry *entry) {
  entry->state = GONE;
  *(entry->before == NULL ? &first : &entry->before->after) = entry->after;
  *(entry->after == NULL ? &last : &entry->after->before) = entry->before;
  if (entry->hook.destroy != NULL) entry->hook.destroy(entry->hook.data);
}

/* ---- Forks and visits under way ---- */

static bool has(const struct frame *frame, const struct entry *entry) {
  if (frame->is_over || (frame->only != NULL && frame->only != entry)) return false;
  for (size_t i = 0; i < frame->count; i++)
    if (frame->hooks[i] == entry) return true;
  return false;
}

static bool is_needed(const struct entry *entry) {
  for (const struct frame *frame = innermost; frame != NULL; frame = frame->outer)
    if (frame->begins_anew || has(frame, entry)) return true;
  return false;
}

/* Forks inside a fork still have what that one has. */
static bool outer_fork_has(const struct frame *frame, const struct entry *entry) {
  for (frame = frame->outer; frame != NULL; frame = frame->outer)
    if (!frame->visits && !frame->begins_anew && has(frame, entry)) return true;
  return false;
}

static bool takes_part(const struct frame *frame, const struct entry *entry) {
  return entry->state == LIVE || (!frame->visits && outer_fork_has(frame, entry));
}

static void begin(struct frame *frame, bool visits) {
  size_t all = 0;
  for (struct entry *entry = first; entry != NULL; entry = entry->after) all++;
  *frame = (struct frame){.outer = innermost, .visits = visits, .hooks = calloc(all + 1, sizeof *frame->hooks)};
  for (struct entry *entry = first; entry != NULL; entry = entry->after)
    if (takes_part(frame, entry)) frame->hooks[frame->count++] = entry;
  innermost = frame;
}

static struct entry *first_due(void) {
  struct entry *entry = first;
  while (entry != NULL && (entry->state != RETIRED || is_needed(entry))) entry = entry->after;
  return entry;
}

static void end(struct frame *frame) {
  struct entry *due;
  frame->is_over = true;
  while ((due = first_due()) != NULL) bury(due);
  innermost = frame->outer;
  free(frame->hooks);
}

static int unregister(atfork_id id) {
  look();
  struct entry *entry = first;
  while (entry != NULL && entry->id != id) entry = entry->after;
  if (entry == NULL || entry->state != LIVE) {
    errno = ENOENT;
    return -1;
  }
  entry->state = RETIRED;
  if (!is_needed(entry)) bury(entry);
  return 0;
}

static int visit_each(int (*visit)(const struct atfork_info *info, void *arg), void *arg) {
  if (visit == NULL) {
    errno = EINVAL;
    return -1;
  }
  look();
  struct frame frame;
  int result = 0;
  begin(&frame, true);
  for (size_t i = 0; i < frame.count && result == 0; i++) {
    const struct entry *entry = frame.hooks[i];
    struct atfork_info info = {.id = entry->id, .generation = entry->generation, .hook = entry->hook};
    if (entry->state != GONE) result = visit(&info, arg);
  }
  end(&frame);
  return result;
}

/* ---- Child hooks ---- */

static bool any_is_retired(void) {
  for (const struct entry *entry = first; entry != NULL; entry = entry->after)
    if (entry->state == RETIRED) return true;
  return false;
}

static int run_due(void);

/* Those registered before generation `before`.  A process that a callback has forked, and that comes back here, has a
 * child phase of its own: it was run; or a bypassing fork has left it to do, which cannot wait if hooks are leaving. */
static int run_children(const struct frame *frame, uint64_t before) {
  pid_t here = me.pid;
  int count = 0;
  for (size_t i = 0; i < frame->count; i++) {
    const struct entry *entry = frame->hooks[i];
    if (entry->state == GONE || entry->hook.child == NULL || entry->generation >= before) continue;
    look();
    if (me.pid != here) break;
    entry->hook.child(entry->hook.data);
    count++;
  }
  look();
  if (me.pid != here && any_is_retired()) run_due();
  return count;
}

/* Or there will be: an ordinary fork is about to run its child hooks. */
static bool child_phase_is_to_come(void) {
  const struct frame *frame = innermost;
  while (frame != NULL && frame->number == 0) frame = frame->outer;
  return frame != NULL;
}

static int run_due(void) {
  look();
  if (!me.owes || child_phase_is_to_come()) return 0;
  struct frame frame;
  begin(&frame, false);
  me.owes = false;
  int count = run_children(&frame, me.generation);
  end(&frame);
  return count;
}

/* ---- Preparing ---- */

static void run_parent(const struct entry *entry) {
  if (entry->state != GONE && entry->hook.parent != NULL) entry->hook.parent(entry->hook.data);
}

/* What has been prepared: all behind the one that refuses, and the one that was kept. */
static void take_back(const struct frame *frame, size_t refusing, const struct entry *kept) {
  for (size_t i = 0; i < frame->count; i++)
    if (i > refusing || frame->hooks[i] == kept) run_parent(frame->hooks[i]);
}

/* The index of the hook that says "not now", or -1. */
static int try_all(const struct frame *frame, const struct entry *kept) {
  for (int i = (int)frame->count - 1; i >= 0; i--) {
    const struct entry *entry = frame->hooks[i];
    if (entry->state == GONE) continue;
    if (entry->hook.prepare != NULL) entry->hook.prepare(entry->hook.data);
    if (entry->hook.try_prepare == NULL || entry == kept) continue;
    if (entry->hook.try_prepare(entry->hook.data) != 0) return i;
  }
  return -1;
}

/* Without what was unregistered meanwhile. */
static void leave_out_retired(struct frame *frame) {
  size_t count = 0;
  for (size_t i = 0; i < frame->count; i++)
    if (takes_part(frame, frame->hooks[i])) frame->hooks[count++] = frame->hooks[i];
  frame->count = count;
}

/* By its `wait`; the hook that is prepared then, NULL if there is none. */
static const struct entry *wait_for(struct frame *frame, const struct entry *entry) {
  bool waits = entry->hook.wait != NULL && entry->state != GONE;
  if (waits) {
    frame->only = entry;
    entry->hook.wait(entry->hook.data);
    frame->only = NULL;
  }
  bool is_lost = entry->state != LIVE;
  leave_out_retired(frame);
  if (!waits) return NULL;
  if (!is_lost) return entry;
  frame->begins_anew = true;
  run_parent(entry);
  frame->begins_anew = false;
  return NULL;
}

static void prepare(struct frame *frame) {
  const struct entry *kept = NULL;
  int refusing;
  while ((refusing = try_all(frame, kept)) >= 0) {
    const struct entry *entry = frame->hooks[refusing];
    take_back(frame, (size_t)refusing, kept);
    kept = wait_for(frame, entry);
  }
}

/* ---- Forks ---- */

static void begin_fork(struct frame *frame) {
  run_due();
  begin(frame, false);
  prepare(frame);
  look();
  frame->number = ++me.children;
}

static void end_fork_in_parent(struct frame *frame) {
  frame->number = 0;
  for (size_t i = 0; i < frame->count; i++) run_parent(frame->hooks[i]);
  end(frame);
}

/* A process that an earlier handler has forked, and that has come back, has had its child hooks. */
static void end_fork_in_child(struct frame *frame) {
  look();
  bool owes = me.owes;
  me.owes = false;
  frame->number = 0;
  if (owes) run_children(frame, UINT64_MAX);
  end(frame);
}

static pid_t fork_by_library(void) {
  pid_t pid = raw_clone();
  if (pid == 0) me.thread = getpid();
  return pid;
}

static pid_t fork_with_hooks(bool fails) {
  struct frame frame;
  handler_called(LATE_PREPARE);
  begin_fork(&frame);
  handler_called(EARLY_PREPARE);
  pid_t pid = fails ? -1 : fork_by_library();
  handler_called(pid == 0 ? EARLY_CHILD : EARLY_PARENT);
  if (pid == 0)
    end_fork_in_child(&frame);
  else
    end_fork_in_parent(&frame);
  handler_called(pid == 0 ? LATE_CHILD : LATE_PARENT);
  if (fails) errno = EAGAIN;
  return pid;
}

/* It is numbered, and no more. */
static pid_t fork_before_the_first_call(bool fails) {
  find_out();
  me.note.parent = me.pid;
  me.note.number = ++me.children;
  pid_t pid = fails ? -1 : fork_by_library();
  if (pid != 0) me.note.parent = 0;
  if (fails) errno = EAGAIN;
  return pid;
}

static pid_t make_process_by(enum way way) {
  bool fails = way == BY_FAILING;
  if (way == BY__FORK) return fork_by_library();
  if (way != BY_FORK && !fails) return raw_clone();
  return me.is_called ? fork_with_hooks(fails) : fork_before_the_first_call(fails);
}

/* Callbacks leave no errno behind. */
static pid_t make_process(enum way way) {
  int before = errno;
  pid_t pid = make_process_by(way);
  if (pid >= 0) errno = before;
  return pid;
}

/* ---- Who this is ---- */

static uint64_t generation(void) {
  look();
  return me.generation;
}

static int show(const char *text, char *buf, size_t size) {
  return snprintf(buf, size, "%s", text);
}

static int refuse(int error) {
  errno = error;
  return -1;
}

static int lineage(char *buf, size_t size) {
  if (buf == NULL && size > 0) return refuse(EINVAL);
  look();
  return show(me.lineage, buf, size);
}

static uint64_t seed(uint64_t base) {
  look();
  return stream_seed(base, me.lineage, strlen(me.lineage));
}

static void seed_bytes(uint64_t base, void *buf, size_t size) {
  look();
  stream_bytes(base, me.lineage, buf, size);
}

static uint64_t run(void) {
  look();
  return me.run;
}

static enum atfork_place place(void) {
  look();
  return me.place;
}

static void once(int control, void (*init)(void *data), void *data) {
  look();
  pid_t pid = me.pid;
  uint64_t here = me.generation;
  if (me.done[control].pid == pid && me.done[control].generation == here) return;
  init(data);
  look();
  if (me.pid != pid || me.generation != here) return;
  me.done[control].pid = pid;
  me.done[control].generation = here;
}

/* ---- Tokens: "model RUN GENERATION LINEAGE" ---- */

static int token(char *buf, size_t size) {
  char text[2 * LINEAGE_SIZE];
  look();
  int length = snprintf(text, sizeof text, "model %llu %llu %s.%llu", (unsigned long long)me.run,
                        (unsigned long long)me.generation + 1, me.lineage, (unsigned long long)me.children + 1);
  if ((size_t)length < size) me.children++;
  return show(text, buf, size);
}

static int child_token(const char *of, uint64_t n, char *buf, size_t size) {
  unsigned long long of_run, of_generation;
  char of_lineage[LINEAGE_SIZE];
  look();
  if (n == 0 || sscanf(of, "model %llu %llu %1000s", &of_run, &of_generation, of_lineage) != 3) {
    errno = EINVAL;
    return -1;
  }
  return snprintf(buf, size, "model %llu %llu %s.%llu", of_run, of_generation + 1, of_lineage, (unsigned long long)n);
}

static int spawned(const char *text) {
  unsigned long long of_run, of_generation;
  char of_lineage[LINEAGE_SIZE];
  bool by_environment = text == NULL;
  look();
  if (by_environment) text = getenv("ATFORK_TOKEN");
  if (me.generation != 0) return refuse(EALREADY);
  if (text == NULL || sscanf(text, "model %llu %llu %1000s", &of_run, &of_generation, of_lineage) != 3)
    return refuse(EINVAL);
  me.run = of_run;
  me.generation = of_generation;
  me.place = ATFORK_SPAWNED;
  if (by_environment) unsetenv("ATFORK_TOKEN");
  memcpy(me.lineage, of_lineage, sizeof me.lineage);
  me.owes = true;
  run_due();
  return 0;
}

static int adopt(const char *rank) {
  uint64_t number;
  look();
  if (me.generation != 0) return refuse(EALREADY);
  int error = rank == NULL ? launcher_rank(&number) : stream_number(rank, &number) ? 0 : EINVAL;
  if (error != 0) return refuse(error);
  me.generation = 1;
  me.place = ATFORK_ADOPTED;
  launcher_run(&me.run);
  snprintf(me.lineage, sizeof me.lineage, "0.r%llu", (unsigned long long)number);
  me.owes = true;
  run_due();
  return 0;
}

static int launcher(char *buf, size_t size) {
  static char text[LAUNCHER_TEXT_SIZE];
  look();
  launcher_show(text);
  return show(text, buf, size);
}

/* ---- The ends of objects, and of the process ---- */

static struct entry *first_of(enum owner owner) {
  struct entry *entry = first;
  while (entry != NULL && entry->owner != owner) entry = entry->after;
  return entry;
}

/* Its hooks go with it, even from forks under way. */
static void end_object(enum owner owner) {
  struct entry *entry;
  look();
  for (entry = first; entry != NULL; entry = entry->after)
    if (entry->owner == owner) entry->state = RETIRED;
  while ((entry = first_of(owner)) != NULL) bury(entry);
}

static void load(void) {
}

static void unload(void) {
  int at = ending_of(OF_PLUGIN);
  if (at < 0) return;
  memmove(&endings[at], &endings[at + 1], sizeof *endings * (size_t)(--endings_count - at));
  end_object(OF_PLUGIN);
}

static void at_exit(int script) {
  endings[endings_count++] = (struct ending){false, script};
}

static void end_process(void) {
  while (endings_count > 0) {
    struct ending ending = endings[--endings_count];
    if (ending.is_object)
      end_object((enum owner)ending.which);
    else
      run_at_exit(ending.which);
  }
}

/* ---- Mutexes, which no other thread has ---- */

/* A hook of a mutex, and how often forks under way have prepared it. */
struct holder {
  struct holder *next;
  int mutex;
  unsigned holds;
};

static struct holder *holders;
static pid_t locked_in[MUTEXES];

static bool is_held(int mutex) {
  for (const struct holder *holder = holders; holder != NULL; holder = holder->next)
    if (holder->mutex == mutex && holder->holds > 0) return true;
  return false;
}

/* Who locks or unlocks one looks whether this is a new process. */
static void lock(int mutex) {
  look();
  locked_in[mutex] = me.thread;
}

static int hold(void *data) {
  struct holder *holder = data;
  if (!is_held(holder->mutex)) lock(holder->mutex);
  holder->holds++;
  return 0;
}

static void hold_in_the_end(void *data) {
  hold(data);
}

static void let_go(void *data) {
  struct holder *holder = data;
  if (holder->holds == 0) return;
  holder->holds--;
  if (!is_held(holder->mutex)) look();
}

/* Whatever forks this one is nested in: the child has one thread. */
static void let_go_in_child(void *data) {
  const struct holder *own = data;
  for (struct holder *holder = holders; holder != NULL; holder = holder->next)
    if (holder->mutex == own->mutex) holder->holds = 0;
}

static void forget(void *holder) {
  ((struct holder *)holder)->holds = 0;
}

static atfork_id add_mutex(int which, int priority) {
  if (which == NO_MUTEX) {
    errno = EINVAL;
    return 0;
  }
  struct holder *holder = calloc(1, sizeof *holder);
  struct atfork_hook hook = {.name = "mutex",
                             .priority = priority,
                             .try_prepare = hold,
                             .wait = hold_in_the_end,
                             .parent = let_go,
                             .child = let_go_in_child,
                             .destroy = forget,
                             .data = holder};
  *holder = (struct holder){.next = holders, .mutex = which};
  holders = holder;
  return add(&hook, OF_PROGRAM);
}

static bool is_kept[MUTEXES];

/* A recursive one is this thread's own, as far as the C library knows. */
static bool is_busy(int which) {
  return (is_held(which) || is_kept[which]) && (which != RECURSIVE || locked_in[which] != me.thread);
}

static void keep(int which) {
  if (!is_held(which)) locked_in[which] = me.thread;
  is_kept[which] = true;
}

static void give(int which) {
  is_kept[which] = false;
}

const struct api model = {
    .name = "model",
    .add = add,
    .add_mutex = add_mutex,
    .unregister = unregister,
    .visit = visit_each,
    .generation = generation,
    .lineage = lineage,
    .seed = seed,
    .seed_bytes = seed_bytes,
    .run = run,
    .place = place,
    .poll = run_due,
    .once = once,
    .token = token,
    .child_token = child_token,
    .spawned = spawned,
    .adopt = adopt,
    .launcher = launcher,
    .fork = make_process,
    .load = load,
    .unload = unload,
    .is_busy = is_busy,
    .keep = keep,
    .give = give,
    .at_exit = at_exit,
    .end = end_process,
};

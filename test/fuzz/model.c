/* SPDX-License-Identifier: MIT */
/*
 * What the library promises, in the plainest way: a list of hooks in run order, a copy of it for each fork, and pids
 * to tell processes.  For one thread, and slow.  Its own state is in plain memory, which each fork copies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "model.h"
#include "raw_fork.h"

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

uint64_t model_number_prepared(void) {
  return innermost == NULL ? 0 : innermost->number;
}

/* A child that comes back into outer forks makes them, too, with the numbers that they have. */
uint64_t model_numbers_taken(void) {
  uint64_t highest = 0;
  for (const struct frame *frame = innermost == NULL ? NULL : innermost->outer; frame != NULL; frame = frame->outer)
    if (frame->number > highest) highest = frame->number;
  return highest;
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

atfork_id model_add(const struct atfork_hook *hook, enum owner owner) {
  if (!is_valid(hook)) {
    errno = EINVAL;
    return 0;
  }
  model_look();
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
  model_look();
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
  model_look();
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

/* Those registered before generation `before`.  A process that a callback has forked, and that comes back here, has a
 * child phase of its own: it was run; or a bypassing fork has left it to do, which cannot wait if hooks are leaving. */
static int run_children(const struct frame *frame, uint64_t before) {
  pid_t here = me.pid;
  int count = 0;
  for (size_t i = 0; i < frame->count; i++) {
    const struct entry *entry = frame->hooks[i];
    if (entry->state == GONE || entry->hook.child == NULL || entry->generation >= before) continue;
    model_look();
    if (me.pid != here) break;
    entry->hook.child(entry->hook.data);
    count++;
  }
  model_look();
  if (me.pid != here && any_is_retired()) model_run_due();
  return count;
}

/* Or there will be: an ordinary fork is about to run its child hooks. */
static bool child_phase_is_to_come(void) {
  const struct frame *frame = innermost;
  while (frame != NULL && frame->number == 0) frame = frame->outer;
  return frame != NULL;
}

int model_run_due(void) {
  model_look();
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
  model_run_due();
  begin(frame, false);
  prepare(frame);
  model_look();
  frame->number = ++me.children;
}

static void end_fork_in_parent(struct frame *frame) {
  frame->number = 0;
  for (size_t i = 0; i < frame->count; i++) run_parent(frame->hooks[i]);
  end(frame);
}

/* A process that an earlier handler has forked, and that has come back, has had its child hooks. */
static void end_fork_in_child(struct frame *frame) {
  model_look();
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
  model_find_out();
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

/* ---- The ends of objects, and of the process ---- */

static struct entry *first_of(enum owner owner) {
  struct entry *entry = first;
  while (entry != NULL && entry->owner != owner) entry = entry->after;
  return entry;
}

/* Its hooks go with it, even from forks under way. */
static void end_object(enum owner owner) {
  struct entry *entry;
  model_look();
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

const struct api model = {
    .name = "model",
    .add = model_add,
    .add_mutex = model_add_mutex,
    .unregister = unregister,
    .visit = visit_each,
    .generation = model_generation,
    .lineage = model_lineage,
    .seed = model_seed,
    .seed_bytes = model_seed_bytes,
    .run = model_run,
    .place = model_place,
    .poll = model_run_due,
    .once = model_once,
    .token = model_token,
    .child_token = model_child_token,
    .spawned = model_spawned,
    .adopt = model_adopt,
    .launcher = model_launcher,
    .fork = make_process,
    .load = load,
    .unload = unload,
    .is_busy = model_is_busy,
    .keep = model_keep,
    .give = model_give,
    .at_exit = at_exit,
    .end = end_process,
};

/* SPDX-License-Identifier: MIT */
/* What each process of the matrix has seen, and must see, of each hook. */
#include "matrix.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "callbacks.h"
#include "forks.h"
#include "patience.h"
#include "steps.h"

const struct hook_kind kinds[HOOKS] = {
    {"first", 0},
    {"the handler's old one", 0},
    {"middle", 0},
    {"the handler's new one", 0},
    {"the subject's old one", 1},
    {"last", 1},
    {"the subject's new one", 1},
};

struct self me;
struct entries *entries;
bool entries_are_noted;

static bool is_always_there(int hook) {
  return hook == FIRST || hook == MIDDLE || hook == LAST;
}

/* ---- Accounts ---- */

static enum known is_due_in_child(int hook) {
  const struct context *context = me.context;
  if (!context->bypasses) return (context->prepared >> hook & 1) != 0 ? YES : NO;
  return is_always_there(hook) ? YES : me.accounts[hook].registered;
}

static void inherit(struct account *account, enum known due) {
  account->is_owed = account->due == YES && account->ran == 0 && !account->is_missed;
  bool is_left = account->due == YES && account->is_missed && account->registered == NO;
  if (account->ran == 0 && (account->due == UNKNOWN || is_left)) due = UNKNOWN;
  account->is_vague |= account->due == UNKNOWN || due == UNKNOWN;
  account->is_missed = me.context->bypasses && !account->is_owed;
  if (!me.context->bypasses && account->is_owed && due == YES) account->stays_open++;
  account->due = account->is_owed ? YES : due;
  account->ran = 0;
}

/* The first that a new process does, in a callback or after the fork. */
void be_born(void) {
  if (getpid() == me.pid) return;
  alarm(patience());
  me.parent = me.pid;
  me.pid = getpid();
  me.bypassed = me.context->bypasses;
  me.parent_looked = me.has_looked;
  me.has_looked = !me.bypassed;
  me.lineage[0] = '\0';
  for (int i = 0; i < HOOKS; i++) inherit(&me.accounts[i], is_due_in_child(i));
  /* Its own child phase may be where it comes back into that of its parent. */
  for (struct context *context = me.context; context != NULL; context = context->outer)
    if (context->phase == PHASE_CHILD) context->phase = PHASE_NONE;
}

void begin_context(struct context *context, bool bypasses) {
  *context = (struct context){.outer = me.context, .bypasses = bypasses};
  for (int i = 0; i < HOOKS; i++) {
    if (me.accounts[i].registered == YES) context->expected |= 1U << i;
    if (me.accounts[i].registered != NO) context->possible |= 1U << i;
  }
  context->possible |= me.lingering;
  me.context = context;
}

void end_context(struct context *context) {
  me.context = context->outer;
}

/* In forks under way it may take part or not: they may be about to begin. */
void set_registered(int hook, enum known registered) {
  me.accounts[hook].registered = registered;
  if (registered == NO && cell->subject->walks) me.lingering |= 1U << hook;
  for (struct context *context = me.context; context != NULL; context = context->outer) {
    context->expected &= ~(1U << hook);
    context->possible |= 1U << hook;
  }
}

/* ---- Callbacks ---- */

/*
 * Whether the handler came in the few instructions between the look at the mark and the call: a limit.  The process
 * that comes back there calls it though it ran already.
 */
static bool is_about_to_run(int hook) {
  const size_t few = has_more_instructions() ? 150 : 24;
  if (!me.has_come_back) return false;
  for (int i = 0; i < entries->count; i++)
    if (entries->all[i].hook == hook && entries->all[i].place - place - 1 < few) return true;
  return false;
}

static void come_to(int hook, int phase) {
  struct context *context = me.context;
  be_born();
  expect(me.accounts[hook].destroyed == 0, "%s is called after its destroy", kinds[hook].name);
  if (context->phase == phase) {
    bool in_order = phase == PHASE_PREPARE ? hook < context->last : hook > context->last;
    expect(in_order || is_about_to_run(context->last), "phase %d: %s after %s", phase, kinds[hook].name,
           kinds[context->last].name);
  }
  context->phase = phase;
  context->last = hook;
}

static int number_of(const void *data) {
  return (int)((const struct account *)data - me.accounts);
}

static void prepare(void *data) {
  int hook = number_of(data);
  come_to(hook, PHASE_PREPARE);
  unsigned bit = 1U << hook;
  expect((me.context->prepared & bit) == 0, "%s is prepared twice", kinds[hook].name);
  expect((me.context->possible & bit) != 0, "%s is prepared, and was not there", kinds[hook].name);
  me.context->prepared |= bit;
  me.accounts[hook].open++;
}

static void parent(void *data) {
  int hook = number_of(data);
  come_to(hook, PHASE_PARENT);
  unsigned bit = 1U << hook;
  expect((me.context->prepared & bit) != 0, "%s: parent without prepare", kinds[hook].name);
  expect((me.context->parented & bit) == 0, "%s: parent twice", kinds[hook].name);
  me.context->parented |= bit;
  me.accounts[hook].open--;
}

static void child(void *data) {
  int hook = number_of(data);
  come_to(hook, PHASE_CHILD);
  struct account *account = &me.accounts[hook];
  expect(account->due != NO, "%s: child, which was not due", kinds[hook].name);
  if (entries_are_noted) entries->all[entries->count++] = (struct entry){places->count, hook};
  expect(account->ran == 0 || is_about_to_run(hook), "%s: child twice", kinds[hook].name);
  account->ran++;
  account->open -= !account->is_missed;
  me.has_looked = true;
}

static void destroy(void *data) {
  struct account *account = data;
  expect(++account->destroyed == 1, "%s: destroyed twice", kinds[number_of(data)].name);
}

atfork_id add(int hook) {
  return atfork_register(&(struct atfork_hook){
      .name = kinds[hook].name,
      .priority = kinds[hook].priority,
      .prepare = prepare,
      .parent = parent,
      .child = child,
      .destroy = destroy,
      .data = &me.accounts[hook],
  });
}

void have(int hook) {
  me.accounts[hook] = (struct account){.id = add(hook), .registered = YES};
  g_assert_cmpuint(me.accounts[hook].id, !=, 0);
}

/* ---- Forks ---- */

void await(pid_t pid) {
  int status = -1;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  /* This came to be after it, in a handler in the end of the fork that made it. */
  if (ended < 0 && me.has_come_back) return;
  expect(ended == pid, "no child %d", (int)pid);
  if (WIFSIGNALED(status)) say("child %d ends by signal %d", (int)pid, WTERMSIG(status));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_PASSED) _exit(1);
}

static void check_prepared(const struct context *context) {
  unsigned missing = context->expected & ~context->prepared;
  expect(missing == 0, "hooks %#x were not prepared", missing);
}

/* Whether a fork under way is prepared, and nobody has come to its parent or child. */
static bool is_between_phases(void) {
  for (const struct context *context = me.context; context != NULL; context = context->outer)
    if (context->phase == PHASE_PREPARE && context->last == FIRST) return true;
  return false;
}

pid_t make(bool bypasses) {
  struct context context;
  /* Then it is taken for that fork's child: a limit. */
  family->is_blurred |= bypasses && is_between_phases();
  begin_context(&context, bypasses);
  pid_t pid = bypasses ? fork_by_clone() : fork();
  expect(pid >= 0, "no fork: %s", strerror(errno));
  be_born();
  if (!bypasses) check_prepared(&context);
  if (!bypasses && pid > 0)
    expect(context.parented == context.prepared, "parents %#x of %#x", context.parented, context.prepared);
  if (!bypasses) me.has_looked = true;
  end_context(&context);
  return pid;
}

/* ---- What a process is in the end ---- */

void note_self(void) {
  char lineage[sizeof me.lineage];
  uint64_t generation = (atfork_generation)();
  me.has_looked = true;
  int length = atfork_lineage(lineage, sizeof lineage);
  expect(length == (int)strlen(lineage), "a lineage of %d bytes", length);
  if (me.lineage[0] != '\0') {
    expect(strcmp(me.lineage, lineage) == 0, "its lineage was %s, and is %s", me.lineage, lineage);
    expect(me.generation == generation, "its generation was %d, and is %d", (int)me.generation, (int)generation);
  }
  strcpy(me.lineage, lineage);
  me.generation = generation;
}

static void record_self(void) {
  if (me.run != family->run) return;
  /* A subject's parent and child go on at the same time. */
  int number = __atomic_fetch_add(&family->count, 1, __ATOMIC_SEQ_CST);
  struct record *record = &family->records[number];
  *record = (struct record){me.pid, me.parent, me.bypassed, me.parent_looked, me.generation, ""};
  strcpy(record->lineage, me.lineage);
}

static int see(const struct atfork_info *info, void *seen) {
  int hook = number_of(info->hook.data);
  unsigned *bits = seen;
  expect(*bits >> hook == 0, "%s is seen out of order", kinds[hook].name);
  expect(info->id == me.accounts[hook].id || me.accounts[hook].registered == UNKNOWN, "%s has another id",
         kinds[hook].name);
  *bits |= 1U << hook;
  return 0;
}

static unsigned look_at_hooks(void) {
  unsigned seen = 0;
  expect(atfork_foreach(see, &seen) == 0, "a visit fails");
  return seen;
}

static void check_hooks(void) {
  unsigned seen = look_at_hooks();
  for (int i = 0; i < HOOKS; i++) {
    enum known there = me.accounts[i].registered;
    expect(there == UNKNOWN || (seen >> i & 1) == (there == YES), "%s is %sthere", kinds[i].name,
           there == YES ? "not " : "");
  }
}

/* Inside: of a process that does not come back into the subject, where an outer fork may owe it something. */
static void check_account(int hook, bool inside) {
  const struct account *account = &me.accounts[hook];
  if (is_about_to_run(hook)) return;
  bool is_clear = !family->is_blurred || (is_always_there(hook) && !inside);
  bool may_be_owed = (inside && account->is_owed) || !is_clear || account->due == UNKNOWN;
  if (!may_be_owed)
    expect(account->ran == (account->due == YES), "%s: child ran %d times", kinds[hook].name, account->ran);
  if (inside || !is_clear || account->is_vague) return;
  expect(account->open == account->stays_open, "%s: %d prepared, %d stay so", kinds[hook].name, account->open,
         account->stays_open);
  bool ended = account->registered == NO && account->id != 0;
  if (account->registered != UNKNOWN)
    expect(account->destroyed == ended, "%s: destroyed %d times", kinds[hook].name, account->destroyed);
}

static void take_back(int hook) {
  struct account *account = &me.accounts[hook];
  if (account->registered != YES) return;
  expect(atfork_unregister(account->id) == 0, "%s cannot be unregistered", kinds[hook].name);
  set_registered(hook, NO);
  errno = 0;
  expect(atfork_unregister(account->id) == -1 && errno == ENOENT, "%s can be unregistered twice", kinds[hook].name);
}

/* As any hook, it comes and goes. */
static void come_and_go(bool inside) {
  int ended = 0;
  atfork_id id =
      atfork_register(&(struct atfork_hook){.priority = 1000, .parent = nothing, .destroy = increment, .data = &ended});
  expect(id != 0, "no hook can be registered");
  expect(atfork_unregister(id) == 0, "a new hook cannot be unregistered");
  expect(inside || ended == 1, "a new hook is not destroyed");
  expect(atfork_unregister(id) == -1, "a new hook is unregistered twice");
}

int poll_here(void) {
  struct context context;
  begin_context(&context, false);
  int count = atfork_poll();
  end_context(&context);
  return count;
}

static void be_last(void) {
  note_self();
  expect(poll_here() == 0, "hooks are due in the child of an ordinary fork");
  for (int i = 0; i < HOOKS; i++) check_account(i, true);
  record_self();
  child_passes();
}

_Noreturn void finish(bool inside) {
  note_self();
  poll_here();
  come_and_go(inside);
  check_hooks();
  for (int i = 0; i < HOOKS; i++) check_account(i, inside);
  pid_t pid = make(false);
  if (pid == 0) be_last();
  await(pid);
  for (int i = 0; i < HOOKS; i++) take_back(i);
  for (int i = 0; i < HOOKS; i++) check_account(i, inside);
  note_self();
  record_self();
  child_passes();
}

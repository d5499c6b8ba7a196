/* SPDX-License-Identifier: MIT */
/*
 * Promises 2, 3, 8 and 9 as a table: each subject is interrupted before each of its instructions in the library, by
 * each handler, in a process of its own; and each process that comes of it keeps accounts of what it saw, by rules that
 * know nothing of how the library does it.
 *
 * Where a subject is long, or a handler does much, one instruction of several: of ATFORK_STRIDE, which may be 1.
 * ATFORK_PLACE=n goes to the n-th alone.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "places.h"
#include "steps.h"

/* ---- Hooks, in the order in which they run ---- */

enum {
  FIRST,
  OF_HANDLER_OLD, /* that the handler unregisters */
  MIDDLE,
  OF_HANDLER_NEW, /* that the handler registers */
  OF_SUBJECT_OLD, /* that the subject unregisters */
  LAST,
  OF_SUBJECT_NEW, /* that the subject registers */
  HOOKS
};

static const struct {
  const char *name;
  int priority;
} kinds[HOOKS] = {
    {"first", 0},
    {"the handler's old one", 0},
    {"middle", 0},
    {"the handler's new one", 0},
    {"the subject's old one", 1},
    {"last", 1},
    {"the subject's new one", 1},
};

static bool is_always_there(int hook) {
  return hook == FIRST || hook == MIDDLE || hook == LAST;
}

/* ---- The accounts of a process: a child inherits its parent's, and goes on from there ---- */

enum known { NO, YES, UNKNOWN };

struct account {
  atfork_id id;
  enum known registered;
  enum known due; /* its child, in this process */
  bool is_owed;   /* its child would be due without the fork that made this process, too: of an outer one */
  bool is_missed; /* it is due though it is not prepared, as a bypassing fork made this process */
  bool is_vague;  /* an ancestor did not know whether its child was due */
  int ran;        /* its child, in this process */
  int open;       /* prepared, and neither parent nor child has run */
  int stays_open; /* of those: the child ran for an inner fork, and runs no more */
  int destroyed;
};

/* A fork under way, or a handler, or what is neither. */
struct context {
  struct context *outer;
  bool bypasses;
  int phase, last; /* the callback that ran last */
  unsigned prepared, parented;
  unsigned expected, possible; /* to be prepared */
};

enum { PHASE_NONE, PHASE_PREPARE, PHASE_PARENT, PHASE_CHILD };

static struct {
  pid_t pid, parent;
  int run;             /* that it is of */
  bool has_come_back;  /* out of the handler that it was made in */
  bool bypassed;       /* a bypassing fork made it */
  bool has_looked;     /* for certain */
  bool parent_looked;  /* before it was made */
  uint64_t generation; /* where it is known */
  char lineage[256];   /* "": it is not known */
  struct account accounts[HOOKS];
  unsigned lingering; /* unregistered by the handler: a fork that it interrupts has them still */
  struct context *context;
} me;

/* ---- What is being tried ---- */

struct subject {
  const char *name;
  void (*run)(void);
  bool walks;   /* a fork or a poll is under way */
  bool is_thin; /* goes to one instruction of several */
};
struct handler {
  const char *name;
  const char *script;
  const char *only; /* in this subject; NULL: in all */
  bool is_thin;
};
struct cell {
  const struct subject *subject;
  const struct handler *handler;
};

static const struct cell *cell;
static struct places *places; /* of the subject */
static size_t place;
static bool tracing;
static bool *has_acted; /* shared */

/* With no more than write(2), from anywhere. */
G_GNUC_PRINTF(1, 2) static void say(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  uintptr_t at = tracing ? 0 : places_offset(places->at[place]);
  dprintf(STDERR_FILENO, "# %s, %s: at instruction %zu (%#lx): process %d of %d: %.*s\n", cell->subject->name,
          tracing ? "traced" : cell->handler->name, place, (unsigned long)at, (int)getpid(), (int)getppid(), length,
          text);
}

#define expect(condition, ...) \
  do {                         \
    if (!(condition)) {        \
      say(__VA_ARGS__);        \
      _exit(1);                \
    }                          \
  } while (0)

enum { PATIENCE = 30 /* s */ };

static void on_alarm(int signal) {
  (void)signal;
  say("hangs");
  _exit(1);
}

/* ---- A family: all processes of a run ---- */

struct record {
  pid_t pid, parent;
  bool bypassed, parent_looked;
  uint64_t generation;
  char lineage[256];
};
static struct {
  int run;         /* others have failed, and left processes behind */
  bool is_blurred; /* a limit leaves open who is who */
  int count;
  struct record records[64];
} * family; /* shared */

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
static void be_born(void) {
  if (getpid() == me.pid) return;
  alarm(PATIENCE);
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

static void begin_context(struct context *context, bool bypasses) {
  *context = (struct context){.outer = me.context, .bypasses = bypasses};
  for (int i = 0; i < HOOKS; i++) {
    if (me.accounts[i].registered == YES) context->expected |= 1U << i;
    if (me.accounts[i].registered != NO) context->possible |= 1U << i;
  }
  context->possible |= me.lingering;
  me.context = context;
}

static void end_context(struct context *context) {
  me.context = context->outer;
}

/* In forks under way it may take part or not: they may be about to begin. */
static void set_registered(int hook, enum known registered) {
  me.accounts[hook].registered = registered;
  if (registered == NO && cell->subject->walks) me.lingering |= 1U << hook;
  for (struct context *context = me.context; context != NULL; context = context->outer) {
    context->expected &= ~(1U << hook);
    context->possible |= 1U << hook;
  }
}

/* ---- Callbacks ---- */

/* Where in the trace each child of the subject is called. */
struct entry {
  size_t place;
  int hook;
};
static struct {
  int count;
  struct entry all[HOOKS];
} * entries; /* shared */
static bool entries_are_noted;

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

static atfork_id add(int hook) {
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

static void have(int hook) {
  me.accounts[hook] = (struct account){.id = add(hook), .registered = YES};
  g_assert_cmpuint(me.accounts[hook].id, !=, 0);
}

/* ---- Forks ---- */

static void await(pid_t pid) {
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

static pid_t make(bool bypasses) {
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

static void note_self(void) {
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
static void end(void *ended) {
  ++*(int *)ended;
}

static void come_and_go(bool inside) {
  int ended = 0;
  atfork_id id =
      atfork_register(&(struct atfork_hook){.priority = 1000, .parent = nothing, .destroy = end, .data = &ended});
  expect(id != 0, "no hook can be registered");
  expect(atfork_unregister(id) == 0, "a new hook cannot be unregistered");
  expect(inside || ended == 1, "a new hook is not destroyed");
  expect(atfork_unregister(id) == -1, "a new hook is unregistered twice");
}

static int poll_here(void) {
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

/* Uses all of the library; the process ends. */
_Noreturn static void finish(bool inside) {
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

/* ---- Handlers ---- */

/*
 * f, c    makes a child, by fork() or a raw clone, and waits for it; the child does the rest
 * F, C    the same, but this does the rest
 * x       ends; in the end of any other script the process comes back into the subject
 * r, u    registers, or unregisters, a hook; s: that of the subject
 * l, p    asks for its lineage; polls
 * v       visits the hooks, and polls meanwhile
 */
static const struct handler handlers[] = {
    {"fork", "fx", NULL, false},
    {"fork-back", "f", NULL, false},
    {"fork-fork", "ff", NULL, false},
    {"two-forks", "FF", NULL, false},
    {"register", "r", NULL, false},
    {"unregister", "u", NULL, false},
    {"unregister-same", "s", "unregister", false},
    {"lineage", "l", NULL, false},
    {"poll", "p", NULL, false},
    {"visit", "v", NULL, false},
    {"clone", "cx", NULL, false},
    {"clone-back", "c", NULL, false},
    {"clone-lineage-fork-fork", "clff", NULL, false},
    {"clone-lineage-two-forks", "clFF", NULL, false},
    {"fork-fork-fork", "fff", NULL, true},
    {"clone-fork", "cf", NULL, true},
    {"clone-poll-fork", "cpf", NULL, true},
    {"clone-clone", "cc", NULL, true},
    {"fork-clone", "fc", NULL, true},
    {"register-clone", "rc", NULL, true},
    {"clone-register", "cr", NULL, true},
    {"clone-unregister", "cu", NULL, true},
    {"unregister-fork", "uf", NULL, true},
    {"fork-unregister", "fu", NULL, true},
};

static void handler_registers(void) {
  struct account *account = &me.accounts[OF_HANDLER_NEW];
  set_registered(OF_HANDLER_NEW, UNKNOWN);
  account->id = add(OF_HANDLER_NEW);
  expect(account->id != 0, "the handler cannot register");
  set_registered(OF_HANDLER_NEW, YES);
}

static void handler_unregisters(int hook) {
  struct account *account = &me.accounts[hook];
  enum known before = account->registered;
  set_registered(hook, UNKNOWN);
  int result = atfork_unregister(account->id);
  expect(result == 0 || before == UNKNOWN, "the handler cannot unregister");
  if (result == 0) set_registered(hook, NO);
  /* What a bypassing fork missed is for the hooks that are there when it is made up for. */
  if (me.bypassed && account->due == YES && account->ran == 0 && me.accounts[FIRST].ran == 0) {
    account->due = UNKNOWN;
    account->is_vague = true;
  }
}

/* Where an ordinary fork has made this process, its hooks are not for a poll to run, but for that fork. */
static void poll_early(void) {
  int count = poll_here();
  expect(count == 0 || me.bypassed, "a poll runs %d hooks", count);
}

static int poll_in_visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  poll_early();
  return 0;
}

static void make_child(const char **rest) {
  char what = **rest;
  pid_t pid = make(what == 'c' || what == 'C');
  if (pid > 0) await(pid);
  bool goes_on = (pid == 0) == (what == 'f' || what == 'c');
  if (!goes_on) *rest += strlen(*rest) - 1;
}

static void do_one(const char **at) {
  switch (**at) {
    case 'r':
      handler_registers();
      break;
    case 'u':
      handler_unregisters(OF_HANDLER_OLD);
      break;
    case 's':
      handler_unregisters(OF_SUBJECT_OLD);
      break;
    case 'l':
      note_self();
      break;
    case 'p':
      poll_early();
      break;
    case 'v':
      expect(atfork_foreach(poll_in_visit, NULL) == 0, "a visit fails");
      break;
    case 'x':
      finish(true);
    default:
      make_child(at);
  }
}

static void act(void) {
  struct context context;
  pid_t here = me.pid;
  *has_acted = true;
  begin_context(&context, false);
  for (const char *at = cell->handler->script; *at != '\0'; at++) do_one(&at);
  me.has_come_back = me.pid != here;
  me.lingering = 0;
  end_context(&context);
}

/* ---- Subjects ---- */

static void enter(void) {
  entries_are_noted = tracing;
  if (tracing)
    places_trace(places);
  else
    places_break(places, place, act);
}

static void leave(void) {
  entries_are_noted = false;
  if (tracing)
    places_trace_end();
  else
    places_break_not();
}

static void subject_registers(void) {
  struct account *account = &me.accounts[OF_SUBJECT_NEW];
  set_registered(OF_SUBJECT_NEW, UNKNOWN);
  enter();
  atfork_id id = add(OF_SUBJECT_NEW);
  leave();
  expect(id != 0, "cannot register");
  account->id = id;
  set_registered(OF_SUBJECT_NEW, YES);
  finish(false);
}

static void subject_unregisters(void) {
  struct account *account = &me.accounts[OF_SUBJECT_OLD];
  set_registered(OF_SUBJECT_OLD, UNKNOWN);
  enter();
  int result = atfork_unregister(account->id);
  leave();
  expect(result == 0 || account->registered == NO, "cannot unregister");
  set_registered(OF_SUBJECT_OLD, NO);
  finish(false);
}

static void in_clone(void (*what)(void)) {
  pid_t pid = make(true);
  if (pid == 0) {
    what();
    finish(false);
  }
  await(pid);
  finish(false);
}

static void look(void) {
  enter();
  (atfork_generation)();
  leave();
}

static void look_in_clone(void) {
  in_clone(look);
}

static void look_and_poll(void) {
  (atfork_generation)();
  enter();
  atfork_poll();
  leave();
}

static void poll_in_clone(void) {
  in_clone(look_and_poll);
}

/* Called in the child of each fork, by another library's handler, before ours. */
static void (*early)(void);

static void on_child(void) {
  if (early == NULL) return;
  be_born();
  void (*what)(void) = early;
  early = NULL;
  what();
}

static void fork_and_finish(void) {
  pid_t pid = make(false);
  leave();
  early = NULL;
  if (pid > 0) await(pid);
  finish(false);
}

static void look_in_child(void) {
  early = look;
  fork_and_finish();
}

static void fork_in_parent(void) {
  early = leave;
  enter();
  fork_and_finish();
}

static void fork_in_child(void) {
  early = enter;
  fork_and_finish();
}

static const struct subject subjects[] = {
    {"register", subject_registers, false, false}, {"unregister", subject_unregisters, false, false},
    {"look-in-child", look_in_child, true, false}, {"look-in-clone", look_in_clone, false, false},
    {"poll-in-clone", poll_in_clone, true, true},  {"fork-in-parent", fork_in_parent, true, true},
    {"fork-in-child", fork_in_child, true, true},
};

/* ---- Families ---- */

static const struct record *record_of(pid_t pid) {
  for (int i = 0; i < family->count; i++)
    if (family->records[i].pid == pid) return &family->records[i];
  return NULL;
}

static int levels(const char *lineage) {
  int count = 0;
  for (; *lineage != '\0'; lineage++) count += *lineage == '.';
  return count;
}

/* As the child of `of`, by a number or by its pid. */
static bool is_child_of(const struct record *record, const struct record *of) {
  size_t length = strlen(of->lineage);
  if (strncmp(record->lineage, of->lineage, length) != 0 || record->lineage[length] != '.') return false;
  const char *name = record->lineage + length + 1;
  if (!record->bypassed) return strspn(name, "123456789") > 0 && strspn(name, "0123456789") == strlen(name);
  return name[0] == 'p' && atoi(name + 1) == record->pid;
}

/* A process that a bypassing fork made, and that may not have looked before it forked, may be left out. */
static bool has_its_place(const struct record *record) {
  for (const struct record *of = record;;) {
    bool parent_looked = of->parent_looked;
    of = record_of(of->parent);
    if (of == NULL) return false;
    if (is_child_of(record, of)) return record->generation == of->generation + 1;
    if (parent_looked) return false;
  }
}

static void show_family(void) {
  for (int i = 0; i < family->count; i++) {
    const struct record *record = &family->records[i];
    say("  %d of %d%s%s: %s", (int)record->pid, (int)record->parent, record->bypassed ? ", bypassed" : "",
        record->parent_looked ? "" : ", whose parent may not have looked", record->lineage);
  }
}

static bool is_right(const struct record *record, pid_t root) {
  if (levels(record->lineage) == (int)record->generation && (record->pid == root || has_its_place(record))) return true;
  say("process %d, child of %d, is %s, generation %d", (int)record->pid, (int)record->parent, record->lineage,
      (int)record->generation);
  return false;
}

static bool is_unique(const struct record *record) {
  for (const struct record *other = family->records; other < record; other++) {
    if (strcmp(record->lineage, other->lineage) != 0) continue;
    say("processes %d and %d are both %s", (int)record->pid, (int)other->pid, record->lineage);
    return false;
  }
  return true;
}

static bool check_family(pid_t root) {
  bool good = true;
  for (int i = 0; i < family->count; i++)
    good = is_right(&family->records[i], root) && is_unique(&family->records[i]) && good;
  if (!good) show_family();
  return good;
}

/* ---- Runs ---- */

/* In a process of its own; whether all was well. */
static bool run(void) {
  int status;
  family->count = 0;
  family->is_blurred = false;
  family->run = ++me.run;
  pid_t pid = make(false);
  if (pid == 0) {
    note_self();
    cell->subject->run();
  }
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  if (WIFSIGNALED(status)) say("ends by signal %d", WTERMSIG(status));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_PASSED) return false;
  return family->is_blurred || check_family(pid);
}

static void trace(void) {
  places->count = 0;
  entries->count = 0;
  tracing = true;
  bool is_good = run();
  tracing = false;
  g_assert_true(is_good);
  g_assert_cmpuint(places->count, >, 20);
}

/* How often a loop is gone round depends on the number of a process. */
static bool is_first(size_t which) {
  for (size_t i = 0; i < which; i++)
    if (places->at[i] == places->at[which]) return false;
  return true;
}

/* From one instruction to the next.  What checks addresses is many more of them. */
static size_t stride(void) {
  bool is_thin = cell->subject->is_thin || cell->handler->is_thin;
  const char *wanted = g_getenv("ATFORK_STRIDE");
  if (wanted != NULL && is_thin) return (size_t)atoi(wanted);
  if (has_more_instructions()) return is_thin ? 499 : 61;
  return is_thin ? 13 : 1;
}

static void test_cell(gconstpointer data) {
  cell = data;
  static const struct subject *traced;
  if (traced != cell->subject) trace();
  traced = cell->subject;
  unsigned failures = 0, missed = 0, runs = 0;
  size_t step = stride();
  size_t first = (size_t)(cell->handler - handlers) % step;
  const char *only = g_getenv("ATFORK_PLACE");
  if (only != NULL) first = (size_t)atoi(only);
  for (place = first; place < places->count; place += step) {
    *has_acted = false;
    failures += !run();
    missed += !*has_acted && is_first(place);
    runs++;
    if (only != NULL) break;
  }
  g_test_message("%u of %zu instructions, %u not come to, %u failures", runs, places->count, missed, failures);
  if (failures > 0 || missed > 0) g_test_fail();
}

static void add_cell(const struct subject *subject, const struct handler *handler) {
  static struct cell cells[G_N_ELEMENTS(subjects) * G_N_ELEMENTS(handlers)];
  static size_t count;
  if (handler->only != NULL && strcmp(handler->only, subject->name) != 0) return;
  cells[count] = (struct cell){subject, handler};
  char *path = g_strdup_printf("/matrix/%s/%s", subject->name, handler->name);
  g_test_add_data_func(path, &cells[count++], test_cell);
  g_free(path);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  if (!places_in((const void *)(uintptr_t)&atfork_version)) {
    puts("1..0 # SKIP this system lets no code be written to");
    return 0;
  }
  if (pthread_atfork(NULL, NULL, on_child) != 0) return 1; /* before the library's */
  signal(SIGALRM, on_alarm);
  places = share(sizeof *places);
  entries = share(sizeof *entries);
  family = share(sizeof *family);
  has_acted = share(sizeof *has_acted);
  struct context outermost;
  me.pid = getpid();
  begin_context(&outermost, false);
  for (int i = 0; i < HOOKS; i++)
    if (i != OF_SUBJECT_NEW && i != OF_HANDLER_NEW) have(i);
  for (const struct subject *subject = subjects; subject < subjects + G_N_ELEMENTS(subjects); subject++) {
    for (const struct handler *handler = handlers; handler < handlers + G_N_ELEMENTS(handlers); handler++)
      add_cell(subject, handler);
  }
  return g_test_run();
}

/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "callbacks.h"
#include "limit.h"
#include "log.h"
#include "watch.h"

enum { NOTES = 1024, MANY = 16384, DEEPEST = 9, NESTED = 3 };

/* All that a process knows of itself, in plain memory: its children have copies. */
static struct {
  const struct api *api;
  bool has_objects, is_loaded;
  int budget; /* so many processes may descend from this one, roughly */
  int fuel;   /* so many operations may be run in scripts */
  int nesting;
  unsigned inside_init; /* bits: controls */
  struct note notes[NOTES];
  int notes_count;
  struct note *slots[SLOTS];
  atfork_id stale[SLOTS];
  atfork_id many[MANY];
  int many_count;
  unsigned ticks, ticks_said;
  int handlers[HANDLERS]; /* scripts */
  uint64_t ticks_digest;
} me;

static void run_script(int number);
static void run_ops(int at, int end);

static const char *error_name(void) {
  return errno == EINVAL ? "EINVAL" : errno == ENOENT ? "ENOENT" : errno == EALREADY ? "EALREADY" : strerror(errno);
}

static void say_result(const char *what, int result) {
  say("%s: %d%s%s", what, result, result == -1 ? " " : "", result == -1 ? error_name() : "");
}

/* ---- Callbacks ---- */

static void called(const char *phase, void *data) {
  const struct note *note = data;
  say("%s %d#%d", phase, note->slot, note->ordinal);
  run_script(note->script);
}

static void on_prepare(void *data) {
  called("prepare", data);
}
static void on_parent(void *data) {
  called("parent", data);
}
static void on_child(void *data) {
  called("child", data);
}
static void on_wait(void *data) {
  called("wait", data);
}
static void on_destroy(void *data) {
  called("destroy", data);
}

static int on_try(void *data) {
  struct note *note = data;
  bool refuses = note->refusals > 0;
  if (refuses) note->refusals--;
  called(refuses ? "not now" : "try", data);
  return refuses;
}

const struct atfork_hook callbacks = {
    .prepare = on_prepare,
    .parent = on_parent,
    .child = on_child,
    .try_prepare = on_try,
    .wait = on_wait,
    .destroy = on_destroy,
};

struct atfork_hook callbacks_chosen(int has) {
  struct atfork_hook hook = callbacks;
  if ((has & HAS_PREPARE) == 0) hook.prepare = NULL;
  if ((has & HAS_PARENT) == 0) hook.parent = NULL;
  if ((has & HAS_CHILD) == 0) hook.child = NULL;
  if ((has & HAS_TRY) == 0) hook.try_prepare = NULL;
  if ((has & HAS_WAIT) == 0) hook.wait = NULL;
  if ((has & HAS_DESTROY) == 0) hook.destroy = NULL;
  return hook;
}

int callbacks_of(const struct atfork_hook *hook) {
  return (hook->prepare != NULL ? HAS_PREPARE : 0) | (hook->parent != NULL ? HAS_PARENT : 0) |
         (hook->child != NULL ? HAS_CHILD : 0) | (hook->try_prepare != NULL ? HAS_TRY : 0) |
         (hook->wait != NULL ? HAS_WAIT : 0) | (hook->destroy != NULL ? HAS_DESTROY : 0);
}

void handler_called(enum handler which) {
  if (me.handlers[which] == 0) return;
  say("handler %d", (int)which);
  run_script(me.handlers[which]);
}

/* Of many hooks at once, only the order is noted. */
static void on_tick(void *data) {
  me.ticks++;
  me.ticks_digest = me.ticks_digest * 31 + (uintptr_t)data;
}

static void say_ticks(void) {
  if (me.ticks == me.ticks_said) return;
  say("ticks %u %llx", me.ticks, (unsigned long long)me.ticks_digest);
  me.ticks_said = me.ticks;
}

/* ---- Registering ---- */

static void do_load(void) {
  if (!me.has_objects || me.is_loaded) return;
  me.is_loaded = true;
  me.api->load();
}

static bool is_new(atfork_id id) {
  for (int i = 0; i < me.notes_count; i++)
    if (me.notes[i].id == id) return false;
  return true;
}

/* Loads the plugin if it is to be one of its hooks. */
static enum owner owner_of(int argument) {
  if (!me.has_objects && (argument == OF_COPY || argument == OF_PLUGIN)) return OF_PROGRAM;
  if (argument == OF_PLUGIN) do_load();
  return (enum owner)argument;
}

static void do_register(const int *arguments) {
  if (me.notes_count == NOTES) return;
  int slot = arguments[1];
  enum owner owner = owner_of(arguments[5]);
  struct note *note = &me.notes[me.notes_count];
  struct atfork_hook hook = callbacks_chosen(arguments[0]);
  char name[16];
  snprintf(name, sizeof name, "slot %d", slot);
  /* A script might unload the plugin that has called it. */
  *note = (struct note){slot, me.notes_count, owner == OF_PLUGIN ? 0 : arguments[3], arguments[4], 0};
  hook.name = name;
  hook.priority = arguments[2];
  hook.data = note;
  errno = 0;
  atfork_id id = me.api->add(&hook, owner);
  say("register %d#%d: %s", slot, note->ordinal, id == 0 ? error_name() : is_new(id) ? "new" : "given before");
  if (id == 0) return;
  note->id = id;
  if (me.slots[slot] != NULL) me.stale[slot] = me.slots[slot]->id;
  me.slots[slot] = note;
  me.notes_count++;
}

static void do_unregister(int slot) {
  atfork_id id = me.slots[slot] == NULL ? 0 : me.slots[slot]->id;
  say("unregister %d", slot);
  say_result("unregister", me.api->unregister(id));
}

static void do_garbage(int which) {
  static const atfork_id ids[] = {0, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 48, UINT64_C(0x8000ffffffffffff)};
  enum { IDS = sizeof ids / sizeof *ids };
  say_result("unregister garbage", me.api->unregister(ids[which % IDS]));
}

static void do_many(int count, int keep, int priority) {
  struct atfork_hook hook = {.name = "many", .priority = priority, .child = on_tick};
  int from = me.many_count;
  for (int i = 0; i < count && me.many_count < MANY; i++) {
    hook.data = (void *)(uintptr_t)me.many_count;
    me.many[me.many_count++] = me.api->add(&hook, OF_PROGRAM);
  }
  int gone = 0;
  for (int i = from; i < me.many_count; i++)
    if (keep == 0 || i % (keep + 1) != 0) gone += me.api->unregister(me.many[i]) == 0;
  say("many: %d of %d gone", gone, me.many_count - from);
  atomic_fetch_add(&shared->operations, 2 * (uint64_t)count);
}

static void do_fewer(int keep) {
  int gone = 0;
  for (int i = 0; i < me.many_count; i++)
    if (keep == 0 || i % keep != 0) gone += me.api->unregister(me.many[i]) == 0;
  say("fewer: %d gone", gone);
  atomic_fetch_add(&shared->operations, (uint64_t)me.many_count);
  if (keep == 0) me.many_count = 0;
}

/* ---- Visiting ---- */

struct visits {
  int script, at, stop;
  int count;
};

static int visit(const struct atfork_info *info, void *arg) {
  struct visits *visits = arg;
  if (strcmp(info->hook.name, "many") == 0) {
    on_tick(info->hook.data);
    return 0;
  }
  const struct note *note = info->hook.data;
  say("visit %d#%d \"%s\" %d %d of %llu%s", note->slot, note->ordinal, info->hook.name, info->hook.priority,
      callbacks_of(&info->hook), (unsigned long long)info->generation, info->id == note->id ? "" : ", another id");
  if (visits->count++ == visits->at) run_script(visits->script);
  return visits->stop > 0 && visits->count == visits->stop ? 70 + visits->stop : 0;
}

static void do_foreach(int script, int at, int stop) {
  struct visits visits = {.script = script, .at = at, .stop = stop};
  errno = 0;
  say_result("foreach", me.api->foreach (stop == 7 ? NULL : visit, &visits));
  say_ticks();
}

/* ---- Who this is ---- */

/* Whether the last name is a pid that is not this process's. */
static bool is_anothers(const char *lineage) {
  const char *last = strrchr(lineage, '.');
  return last != NULL && last[1] == 'p' && atoi(last + 2) != (int)getpid();
}

/* Below the first process, and without pids. */
static void shorten(char *to, const char *lineage) {
  size_t base = strlen(shared->base);
  if (strncmp(lineage, shared->base, base) == 0) {
    *to++ = 'B';
    lineage += base;
  }
  while (*lineage != '\0') {
    if ((*to++ = *lineage++) != 'p') continue;
    lineage += strspn(lineage, "0123456789");
  }
  *to = '\0';
}

static void say_lineage(void) {
  char text[BASE_SIZE], shown[BASE_SIZE];
  me.api->lineage(text, sizeof text);
  shorten(shown, text);
  say("lineage %s%s", shown, is_anothers(text) ? ", another's pid" : "");
}

static void do_lineage(int size) {
  char text[SLOTS];
  if (size == 0) {
    errno = 0;
    say_result("lineage nowhere", me.api->lineage(NULL, 1));
    return;
  }
  int length = me.api->lineage(text, (size_t)size);
  size_t shown = strlen(text);
  say("lineage cut: %d", shown == (size_t)(length < size ? length : size - 1));
  say_lineage();
}

static void do_seed(int base) {
  char text[BASE_SIZE];
  me.api->lineage(text, sizeof text);
  say("seed: %d", me.api->seed((uint64_t)base) == model_seed_of((uint64_t)base, text));
}

static void do_place(void) {
  say("place %d, %s run", (int)me.api->place(), me.api->run() == shared->run ? "this" : "another");
}

static void do_token(int size) {
  char text[SLOTS + 1];
  int length = me.api->token(size == 0 ? NULL : text, (size_t)size);
  say("token: %d", length > size);
}

struct turn {
  int control, script;
};

static void on_init(void *data) {
  const struct turn *turn = data;
  say("init %d", turn->control);
  me.inside_init |= 1U << turn->control;
  run_script(turn->script);
  me.inside_init &= ~(1U << turn->control);
}

static void do_once(int control, int script) {
  if ((me.inside_init & 1U << control) != 0) return;
  struct turn turn = {control, script};
  me.api->once(control, on_init, &turn);
  say("once %d", control);
}

/* ---- Processes ---- */

static void await(pid_t pid) {
  int status = 0;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  say("a child ended: %d", ended == pid ? status : -1);
}

_Noreturn static void finish(void) {
  struct visits none = {.at = -1};
  say("generation %llu", (unsigned long long)me.api->generation());
  say_lineage();
  say("poll: %d", me.api->poll());
  me.api->foreach (visit, &none);
  say_ticks();
  _exit(0);
}

/* Half of what may come is for the child, half for the parent; where it does not come back, little will do for it. */
static void divide_budget(bool back) {
  if (back || me.nesting > 0)
    me.budget = (me.budget - 1) / 2;
  else
    me.budget--;
}

/* Returns where to go on. */
static int do_fork(int at, enum way way, bool back) {
  enum { OF_BLOCK = 8 };
  int end = program_block_end(&shared->program, at);
  if (me.budget < 1 || log_depth() >= DEEPEST) return end;
  divide_budget(back);
  say("fork by way %d", (int)way);
  unsigned before = log_fork_begins();
  errno = 0;
  pid_t pid = me.api->fork(way);
  int error = errno;
  log_fork_ends(before);
  if (pid == 0) {
    if (!back && me.nesting == 0 && me.budget > OF_BLOCK) me.budget = OF_BLOCK;
    say_ticks();
    run_ops(at + 1, end);
    if (!back) finish();
  } else if (pid > 0) {
    say_ticks();
    await(pid);
  } else {
    errno = error;
    say("fork fails: %s", error_name());
  }
  return end;
}

extern char **environ;

static void spawn(char **arguments) {
  pid_t pid;
  bool before = limit_forks(false);
  int error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ);
  limit_forks(before);
  if (error != 0)
    say("spawn: %s", strerror(error));
  else
    await(pid);
}

static void vfork_nothing(void) {
  bool before = limit_forks(false);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  pid_t pid = vfork();
#pragma GCC diagnostic pop
  if (pid == 0) _exit(0);
  limit_forks(before);
  await(pid);
}

static void do_nonfork(int spawns) {
  static char self[] = "fuzz", nothing[] = "--nothing";
  char *arguments[] = {self, nothing, NULL};
  if (spawns % 4 == 0)
    spawn(arguments);
  else
    vfork_nothing();
}

enum { BY_TOKEN, BY_RANK, BY_CHILD_TOKEN, BY_GARBAGE };

static void do_worker(int how, int script) {
  static char self[] = "fuzz", option[] = "--worker";
  char file[16], which[16], number[16], manner[16], path[PATH_SIZE], token[2 * BASE_SIZE];
  if (me.budget < 4 || log_depth() >= DEEPEST) return;
  me.budget -= 4;
  say("worker");
  unsigned before = log_fork_begins();
  log_name_child(path);
  me.api->token(token, sizeof token);
  snprintf(file, sizeof file, "%d", shared_file);
  snprintf(which, sizeof which, "%d", me.api == &model);
  snprintf(number, sizeof number, "%d", script);
  snprintf(manner, sizeof manner, "%d", how);
  char *arguments[] = {self, option, file, which, path, manner, number, token, NULL};
  spawn(arguments);
  log_fork_ends(before);
}

static void take_place(int how, const char *token) {
  char text[3 * BASE_SIZE];
  errno = 0;
  switch (how) {
    case BY_RANK:
      say_result("adopt", me.api->adopt("7"));
      break;
    case BY_CHILD_TOKEN:
      say("child token: %d", me.api->child_token(token, 3, text, sizeof text) > 0);
      say_result("spawned", me.api->spawned(text));
      break;
    case BY_GARBAGE:
      say_result("adopt garbage", me.api->adopt("07"));
      say_result("spawned by garbage", me.api->spawned("atfork2:garbage"));
      break;
    default:
      say_result("spawned", me.api->spawned(token));
  }
}

/* A spawned or adopted place cannot be taken twice, and a forked process has one. */
static void do_place_or_not(int how) {
  errno = 0;
  if (me.api->generation() != 0) take_place(how % 2, "garbage");
  do_place();
}

/* ---- The plugin ---- */

static void do_unload(void) {
  if (!me.is_loaded) return;
  me.is_loaded = false;
  say("unload");
  me.api->unload();
  say("unloaded");
}

/* ---- Operations ---- */

/* Returns where to go on. */
static int run_op(int at) {
  const struct op *op = &shared->program.ops[at];
  const int *arguments = op->arguments;
  atomic_fetch_add(&shared->operations, 1);
  switch (op->kind) {
    case OP_REGISTER:
      do_register(arguments);
      break;
    case OP_UNREGISTER:
      do_unregister(arguments[0]);
      break;
    case OP_STALE:
      say_result("unregister stale", me.api->unregister(me.stale[arguments[0]]));
      break;
    case OP_GARBAGE:
      do_garbage(arguments[0]);
      break;
    case OP_FOREACH:
      do_foreach(arguments[0], arguments[1], arguments[2]);
      break;
    case OP_FORK:
      return do_fork(at, (enum way)arguments[0], arguments[1] != 0);
    case OP_POLL:
      say("poll: %d", me.api->poll());
      say_ticks();
      break;
    case OP_GENERATION:
      say("generation %llu", (unsigned long long)me.api->generation());
      break;
    case OP_LINEAGE:
      do_lineage(arguments[0]);
      break;
    case OP_SEED:
      do_seed(arguments[0]);
      break;
    case OP_ONCE:
      do_once(arguments[0], arguments[1]);
      break;
    case OP_TOKEN:
      do_token(arguments[0]);
      break;
    case OP_NONFORK:
      do_nonfork(arguments[0]);
      break;
    case OP_WORKER:
      do_worker(arguments[0], arguments[1]);
      break;
    case OP_PLACE:
      do_place_or_not(arguments[0]);
      break;
    case OP_LOAD:
      do_load();
      break;
    case OP_UNLOAD:
      do_unload();
      break;
    case OP_MANY:
      do_many(arguments[0], arguments[1], arguments[2]);
      break;
    case OP_HANDLER:
      if (me.has_objects) me.handlers[arguments[0]] = arguments[1];
      break;
    case OP_FEWER:
      do_fewer(arguments[0]);
      break;
    default:
      break;
  }
  return at;
}

static void run_ops(int at, int end) {
  for (; at < end; at++) {
    if (shared->is_too_large) _exit(0);
    if (me.nesting > 0 && me.fuel-- <= 0) return;
    at = run_op(at);
  }
}

static void run_script(int number) {
  if (number == 0 || me.nesting >= NESTED || me.fuel <= 0) return;
  int at = program_section(&shared->program, number);
  me.nesting++;
  run_ops(at, program_section_end(&shared->program, at));
  me.nesting--;
}

/* ---- Runs ---- */

static void begin(const struct api *api, int budget, const char *path) {
  enum { FUEL = 80 };
  me.api = api;
  me.budget = budget;
  me.fuel = FUEL;
  log_begin(&shared->logs[api == &model], path);
}

static _Noreturn void be_first(const struct api *api) {
  enum { BUDGET = 48 };
  atfork_lineage(shared->base, sizeof shared->base);
  shared->run = atfork_run();
  model_begin(atfork_generation(), shared->base, shared->run, atfork_place());
  begin(api, BUDGET, "0");
  me.has_objects = true;
  run_ops(0, program_section_end(&shared->program, 0));
  finish();
}

_Noreturn void run_worker(char **arguments) {
  enum { BUDGET = 4 };
  shared_open(atoi(arguments[0]));
  int how = atoi(arguments[3]), script = atoi(arguments[4]);
  model_begin(0, "0", 0, ATFORK_ROOT);
  begin(atoi(arguments[1]) != 0 ? &model : &library, BUDGET, arguments[2]);
  do_place();
  run_script(script);
  take_place(how, arguments[5]);
  do_place();
  run_script(script);
  say_lineage();
  say_result("adopt", me.api->adopt("8"));
  finish();
}

/* NULL, or what went wrong. */
static const char *run(const struct api *api) {
  atomic_store(&shared->logs[api == &model].processes, 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    be_first(api);
  }
  return watch(pid);
}

static bool ends_well(const struct api *api, bool prints) {
  const char *how = run(api);
  if (how != NULL && prints) printf("  the %s %s\n", api->name, how);
  if (how != NULL && prints) log_print(&shared->logs[api == &model], 3);
  return how == NULL;
}

enum verdict run_both(bool prints) {
  shared->is_too_large = false;
  if (!ends_well(&library, prints) || !ends_well(&model, prints)) return DIFFERENT;
  if (shared->is_too_large) return TOO_LARGE;
  return log_differs(prints) ? DIFFERENT : SAME;
}

/* SPDX-License-Identifier: MIT */
/* The library itself: as a program calls it, and a plugin, and another copy of it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/copy.h"
#include "api.h"
#include "callbacks.h"
#include "limit.h"
#include "plugin.h"
#include "raw_fork.h"

const struct atfork_hook *library_callbacks = &callbacks;

static void *plugin_object;
static const struct plugin *plugin;
static const struct copy *copy;
static int plugin_file = -1;

static _Noreturn void die(const char *what) {
  fprintf(stderr, "fuzz: %s\n", what);
  exit(2);
}

void library_prepare(void) {
  const struct copy *(*here)(void);
  void *object = dlopen(COPY, RTLD_NOW | RTLD_LOCAL);
  if (object == NULL) die(dlerror());
  *(void **)&here = dlsym(object, "copy_here");
  copy = here();
  plugin_file = open(PLUGIN, O_RDONLY | O_CLOEXEC);
  if (plugin_file < 0) die("no plugin");
}

static void early_prepare(void) {
  handler_called(EARLY_PREPARE);
}
static void early_parent(void) {
  handler_called(EARLY_PARENT);
}
static void early_child(void) {
  handler_called(EARLY_CHILD);
}
static void late_prepare(void) {
  handler_called(LATE_PREPARE);
}
static void late_parent(void) {
  handler_called(LATE_PARENT);
}
static void late_child(void) {
  handler_called(LATE_CHILD);
}

void library_surround(void) {
  if (pthread_atfork(early_prepare, early_parent, early_child) != 0) die("no fork handlers");
  atfork_run(); /* the first call, which gives the library's */
  if (pthread_atfork(late_prepare, late_parent, late_child) != 0) die("no fork handlers");
}

static void load(void) {
  char path[64];
  const struct plugin *(*here)(const struct atfork_hook *programs);
  snprintf(path, sizeof path, "/proc/self/fd/%d", plugin_file);
  plugin_object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (plugin_object == NULL) die(dlerror());
  *(void **)&here = dlsym(plugin_object, "plugin_here");
  plugin = here(library_callbacks);
}

static void unload(void) {
  dlclose(plugin_object);
  plugin_object = NULL;
}

/* The same hook, with the plugin's code. */
static struct atfork_hook of_plugin(const struct atfork_hook *hook) {
  struct atfork_hook own = *hook;
  const struct atfork_hook *its = &plugin->callbacks;
  if (own.prepare != NULL) own.prepare = its->prepare;
  if (own.parent != NULL) own.parent = its->parent;
  if (own.child != NULL) own.child = its->child;
  if (own.try_prepare != NULL) own.try_prepare = its->try_prepare;
  if (own.wait != NULL) own.wait = its->wait;
  if (own.destroy != NULL) own.destroy = its->destroy;
  return own;
}

static atfork_id add(const struct atfork_hook *hook, enum owner owner) {
  struct atfork_hook own;
  switch (owner) {
    case OF_COPY:
      return copy->add(hook);
    case OF_PLUGIN:
      own = of_plugin(hook);
      return atfork_register_for(&own, plugin->dso);
    case OF_NOBODY:
      return (atfork_register)(hook);
    default:
      return atfork_register(hook);
  }
}

static pthread_mutex_t mutexes[MUTEXES] = {
    [NORMAL] = PTHREAD_MUTEX_INITIALIZER,
    [ERROR_CHECKING] = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP,
    [RECURSIVE] = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
};

static atfork_id add_mutex(int which, int priority) {
  return atfork_register_mutex(which == NO_MUTEX ? NULL : &mutexes[which], priority);
}

static bool is_busy(int which) {
  if (pthread_mutex_trylock(&mutexes[which]) != 0) return true;
  pthread_mutex_unlock(&mutexes[which]);
  return false;
}

static void keep(int which) {
  if (pthread_mutex_trylock(&mutexes[which]) != 0) die("a mutex that was free is busy");
}

static void give(int which) {
  if (pthread_mutex_unlock(&mutexes[which]) != 0) die("a mutex is another's");
}

static void call_at_exit(int status, void *script) {
  (void)status;
  run_at_exit((int)(intptr_t)script);
}

static void at_exit(int script) {
  if (on_exit(call_at_exit, (void *)(intptr_t)script) != 0) die("no room to be called at exit");
}

static void end(void) {
  exit(0);
}

static uint64_t generation(void) {
  return atfork_generation();
}

static void once(int control, void (*init)(void *data), void *data) {
  static struct atfork_once controls[CONTROLS];
  if (copy != NULL && control % 2 != 0)
    copy->once(&controls[control], init, data);
  else
    atfork_once(&controls[control], init, data);
}

static pid_t clone_by_3(void) {
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

static pid_t make_process_by(enum way way) {
  switch (way) {
    case BY__FORK:
      return _Fork();
    case BY_SYSCALL:
      return raw_fork();
    case BY_CLONE:
      return raw_clone();
    case BY_CLONE3:
      return clone_by_3();
    default:
      return fork();
  }
}

static pid_t make_process(enum way way) {
  bool before = limit_forks(way == BY_FAILING);
  pid_t pid = make_process_by(way);
  limit_forks(before);
  return pid;
}

const struct api library = {
    .name = "library",
    .add = add,
    .add_mutex = add_mutex,
    .unregister = atfork_unregister,
    .visit = atfork_foreach,
    .generation = generation,
    .lineage = atfork_lineage,
    .seed = atfork_seed,
    .seed_bytes = atfork_seed_bytes,
    .run = atfork_run,
    .place = atfork_place,
    .poll = atfork_poll,
    .once = once,
    .token = atfork_token,
    .child_token = atfork_child_token,
    .spawned = atfork_spawned,
    .adopt = atfork_adopt,
    .launcher = atfork_launcher,
    .fork = make_process,
    .load = load,
    .unload = unload,
    .is_busy = is_busy,
    .keep = keep,
    .give = give,
    .at_exit = at_exit,
    .end = end,
};

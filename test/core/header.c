/* SPDX-License-Identifier: MIT */
/* The header by itself, as C and as C++: included first, included twice, and every name of it used. */
#include <atfork.h>

#include <atfork.h>

#ifdef __cplusplus
#define NONE nullptr
#else
#define NONE NULL
#endif

static void nothing(void *unused) {
  (void)unused;
}

static int refuse(void *unused) {
  (void)unused;
  return 1;
}

static int visit(const struct atfork_info *info, void *arg) {
  (void)arg;
  return info->id == 0;
}

static struct atfork_once once = ATFORK_ONCE_INIT;

/* A name that is not called, or stands in parentheses, is the plain symbol. */
static int through_plain_symbols(const struct atfork_hook *hook) {
  atfork_id (*add)(const struct atfork_hook *) = atfork_register;
  uint64_t (*generation)(void) = &atfork_generation;
  atfork_id id = add(hook);
  return id == 0 || atfork_unregister(id) != 0 || (atfork_register)(NONE) != 0 || generation() != (atfork_generation)();
}

/* Temporaries have commas in their braces, and no parentheses around them. */
#ifndef __cplusplus
static int in_this_language(void *data) {
  atfork_id id = atfork_register(&(struct atfork_hook){.name = "a, b", .child = nothing, .data = data});
  if (id == 0 || atfork_unregister(id) != 0) return 1;
  id = atfork_register_for(&(struct atfork_hook){.name = "a, b", .child = nothing, .data = data}, ATFORK_MODULE);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
  atfork_once(&(struct atfork_once){{0, 0}}, nothing, &(struct atfork_once){{0, 0}});
  return 0;
}
#else
/* Its destructor has the compiler name the shared object by itself, beside the header. */
static struct end {
  ~end() {
    nothing(this);
  }
} end;

static int in_this_language(void *data) {
  atfork_hook hook = {};
  hook.child = [](void *) {};
  hook.data = data;
  atfork_id id = ::atfork_register(hook);
  if (id == 0 || ::atfork_unregister(id) != 0) return 1;
  id = atfork_register({"a, b", 0, nothing, nothing, nothing, NONE, NONE, data, nothing});
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#if __cplusplus >= 202002L
  id = atfork_register({.name = "a, b", .child = [](void *) {}, .data = data});
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#endif
  id = ::atfork_register_after_fork([](void *) { (void)0, (void)0; }, data);
  if (id == 0 || ::atfork_unregister(id) != 0) return 1;
  ::atfork_once(
      &::once, [](void *) { (void)0, (void)0; }, data);
  return ::atfork_generation() != 0;
}
#endif

int main(void) {
  char text[8];
  struct atfork_hook hook = {"name", 0, nothing, nothing, nothing, NONE, NONE, NONE, nothing};
  atfork_id id = atfork_register(&hook);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
  if (through_plain_symbols(&hook) != 0 || in_this_language(text) != 0) return 1;
  hook.prepare = NONE;
  hook.try_prepare = refuse;
  id = atfork_register(&hook);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
  id = atfork_register_after_fork(nothing, text);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#ifndef _WIN32
  pthread_mutex_t mutex;
  if (pthread_mutex_init(&mutex, NONE) != 0) return 1;
  id = atfork_register_mutex(&mutex, ATFORK_PRIORITY_MIN);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#endif
  atfork_once(&once, nothing, text);
  if (atfork_generation() != 0 || atfork_poll() != 0 || atfork_lineage(text, sizeof text) != 1) return 1;
  if (atfork_foreach(visit, NONE) != 0 || atfork_seed(1) == atfork_seed(2) || atfork_version()[0] == 0) return 1;
  if (atfork_token(text, sizeof text) < 8 || atfork_spawned(text) != -1) return 1;
  return ATFORK_VERSION_MAJOR < 0 || ATFORK_VERSION_MINOR < 0 || ATFORK_VERSION_MICRO < 0;
}

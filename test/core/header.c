/* SPDX-License-Identifier: MIT */
/* The header alone, as C99 and as C++11: first, twice, every name used. */
#include <atfork.h>

static void nothing(void *unused) {
  (void)unused;
}

static int visit(const struct atfork_info *info, void *arg) {
  (void)arg;
  return info->id == 0;
}

static struct atfork_once once = ATFORK_ONCE_INIT;

int main(void) {
  char text[8];
  struct atfork_hook hook = {"name", 0, nothing, nothing, nothing, 0, 0, nothing};
  atfork_id id = atfork_register(&hook);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#ifndef __cplusplus
  id = atfork_register(&(struct atfork_hook){.name = "a, b", .child = nothing, .data = text});
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#endif
  id = atfork_register_after_fork(nothing, text);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#ifndef _WIN32
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  id = atfork_register_mutex(&mutex, ATFORK_PRIORITY_MIN);
  if (id == 0 || atfork_unregister(id) != 0) return 1;
#endif
  atfork_once(&once, nothing, text);
  if (atfork_generation() != 0 || atfork_poll() != 0 || atfork_lineage(text, sizeof text) != 1) return 1;
  if (atfork_foreach(visit, 0) != 0 || atfork_seed(1) == atfork_seed(2) || atfork_version()[0] == 0) return 1;
  if (atfork_token(text, sizeof text) < 8 || atfork_spawned(text) != -1) return 1;
  return ATFORK_VERSION_MAJOR < 0 || ATFORK_VERSION_MINOR < 0 || ATFORK_VERSION_MICRO < 0;
}

/* SPDX-License-Identifier: MIT */
/* What a plugin, or a program, says of the copy of the library that it has. */
#ifndef ATFORK_TEST_COPY_H
#define ATFORK_TEST_COPY_H

#include <atfork.h>

struct copy {
  atfork_id (*add)(const struct atfork_hook *hook); /* a hook of the plugin's */
  atfork_id (*add_mutex)(pthread_mutex_t *mutex);   /* of nobody's: it stays when the plugin goes */
  int (*unregister)(atfork_id id);
  int (*foreach)(int (*visit)(const struct atfork_info *info, void *arg), void *arg);
  uint64_t (*generation)(void); /* as a program has it, from the header */
  int (*lineage)(char *buf, size_t size);
  uint64_t (*seed)(uint64_t base);
  int (*poll)(void);
  void (*once)(struct atfork_once *once, void (*init)(void *data), void *data); /* from the header, too */
  int (*token)(char *buf, size_t size);
  int (*spawned)(const char *token);
  const uint64_t *(*mark)(void);
  const char *(*version)(void);
};

const struct copy *copy_here(void);

#endif

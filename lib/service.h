/* SPDX-License-Identifier: MIT */
/*
 * A process has one registry, however many copies of the library are in it.  The copy that is loaded first serves the
 * process: it offers its functions in a table, and the public functions of every copy call them.
 *
 *   program --> libatfork.so.0 --\
 *   plugin, with libatfork.a ----->  the serving copy's table  -->  hook.c, self.c, once.c, mutex.c
 */
#ifndef ATFORK_SERVICE_H
#define ATFORK_SERVICE_H

#include <stdatomic.h>

#include "atfork.h"

/* The number of the table's layout, and of what its functions take and promise.  A copy joins only a copy of the same
 * protocol. */
#ifndef SERVICE_PROTOCOL
#define SERVICE_PROTOCOL 2
#endif

/* The value of a macro, as text. */
#define SERVICE_TEXT_OF(number) #number
#define SERVICE_TEXT(number) SERVICE_TEXT_OF(number)

struct service {
  const char *version; /* comes first in every protocol */
  size_t size;         /* of the table: later versions append to it, and see here what an older version lacks */
  /* The public functions of these names; the first two are the _for forms. */
  atfork_id (*register_hook)(const struct atfork_hook *hook, void *dso);
#ifndef _WIN32
  atfork_id (*register_mutex)(pthread_mutex_t *mutex, int priority, void *dso);
#endif
  int (*unregister)(atfork_id id);
  int (*foreach)(int (*visit)(const struct atfork_info *info, void *arg), void *arg);
  uint64_t (*generation)(void);
  int (*lineage)(char *buf, size_t size);
  enum atfork_place (*place)(void);
  uint64_t (*run)(void);
  uint64_t (*seed)(uint64_t base);
  void (*seed_bytes)(uint64_t base, void *buf, size_t size);
  int (*poll)(void);
  void (*once)(struct atfork_once *once, void (*init)(void *data), void *data);
  int (*token)(char *buf, size_t size);
  int (*child_token)(const char *token, uint64_t n, char *buf, size_t size);
  int (*spawned)(const char *token);
  int (*adopt)(const char *rank);
  int (*launcher)(char *buf, size_t size);
  const uint64_t *(*mark)(void);
};

/* The table of the serving copy; NULL until this copy is loaded, or first called. */
extern const struct service *_Atomic atfork_service_chosen;
const struct service *atfork_service_choose(void);

/* Relaxed: the pointer is stored once, while this copy is being loaded, before another thread can call it. */
static inline const struct service *service(void) {
  const struct service *chosen = atomic_load_explicit(&atfork_service_chosen, memory_order_relaxed);
  return chosen != NULL ? chosen : atfork_service_choose();
}

#endif

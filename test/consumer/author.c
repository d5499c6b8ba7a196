/* SPDX-License-Identifier: MIT */
/*
 * A library that uses libatfork where it is loaded; as C and as C++.  Says which callbacks have run.
 *
 * -DNO_MEMORY: pthread_atfork() fails.  -DSTUB=ERROR: a libatfork whose registrations fail with ERROR is linked in.
 */
#include "author.h"

#ifdef NO_MEMORY
#include <pthread.h>
#define pthread_atfork(prepare, parent, child) ((void)(prepare), (void)(parent), (void)(child), ENOMEM)
#endif
#include <atfork-optional.h>
#ifdef BESIDE_ATFORK_H
#include <atfork.h>
#include <stddef.h>

#define IS_ALIKE(member)                                                                                            \
  typedef char                                                                                                      \
      member##_is_alike[offsetof(struct atfork_optional_layout, member) == offsetof(struct atfork_hook, member) ? 1 \
                                                                                                                : -1]
IS_ALIKE(name);
IS_ALIKE(priority);
IS_ALIKE(prepare);
IS_ALIKE(parent);
IS_ALIKE(child);
IS_ALIKE(try_prepare);
IS_ALIKE(wait);
IS_ALIKE(data);
IS_ALIKE(destroy);
typedef char size_is_alike[sizeof(struct atfork_optional_layout) == sizeof(struct atfork_hook) ? 1 : -1];
#endif

static int prepared, parents, children;

static void prepare(void) {
  prepared++;
}

static void parent(void) {
  parents++;
}

static void child(void) {
  children++;
}

static struct atfork_optional hook = {"author", AUTHOR_PRIORITY, prepare, parent, child, 0, 0};

int author_start(void) {
  return atfork_optional_register(&hook);
}

static int is_refused(struct atfork_optional *other) {
  errno = 0;
  return atfork_optional_register(other) == -1 && errno == EINVAL && (!other || !other->is_registered);
}

int author_refuses(void) {
  struct atfork_optional empty = {"empty", 0, 0, 0, 0, 0, 0}, low = hook, high = hook;
  low.priority = -32769;
  high.priority = 32768;
  return is_refused(0) && is_refused(&empty) && is_refused(&low) && is_refused(&high);
}

uint64_t author_id(void) {
  return hook.id;
}

int author_ran(void) {
  return prepared * 100 + parents * 10 + children;
}

#ifdef STUB
#ifdef __cplusplus
extern "C"
#endif
    uint64_t
    atfork_register_for(const void *unused, void *dso);
uint64_t atfork_register_for(const void *unused, void *dso) {
  (void)unused;
  (void)dso;
  errno = STUB;
  return 0;
}
#endif

/* SPDX-License-Identifier: MIT */
/*
 * atfork-optional: use libatfork only where it is loaded
 *
 * This header is for a library that must not depend on libatfork.  The library registers its fork
 * handlers by atfork_optional_register().  If libatfork is loaded, they become a hook of libatfork;
 * otherwise they are passed to pthread_atfork(3).
 *
 * The header needs no other header of libatfork, and nothing to link with.  You may copy it into
 * your source tree.  (With a glibc older than 2.34, link with -pthread.)
 *
 * ---- Example ----
 *
 *     #include <atfork-optional.h>
 *     #include <pthread.h>
 *
 *     static pthread_mutex_t cache = PTHREAD_MUTEX_INITIALIZER;
 *
 *     static void lock(void) {
 *       pthread_mutex_lock(&cache);
 *     }
 *
 *     static void unlock(void) {
 *       pthread_mutex_unlock(&cache);
 *     }
 *
 *     static struct atfork_optional hook = {
 *         .name = "libfoo",
 *         .prepare = lock,
 *         .parent = unlock,
 *         .child = unlock,
 *     };
 *
 *     int foo_init(void) {
 *       return atfork_optional_register(&hook);
 *     }
 *
 * ---- When libatfork is found ----
 *
 * The call looks for libatfork once, and decides for good:
 *
 * - The program, or a library that it is linked with, is linked with libatfork: it is found.
 * - dlopen(3) has loaded libatfork before the call, with RTLD_GLOBAL or with RTLD_LOCAL (as the
 *   interpreters of Lua, Ruby and Python do): it is found.  musl's dlopen(3) cannot load libatfork.
 * - dlopen(3) loads libatfork after the call: pthread_atfork(3) has the callbacks, and keeps them.
 *   They still run once in each fork.  They have no place in the order of libatfork's hooks.
 * - The program is linked statically: libatfork.a is found if another part of the program uses
 *   atfork_register_for(), or if the program is linked with -Wl,-u,atfork_register_for.
 * - An extension module or a plugin has a copy of libatfork in itself, as the Python wheel has: this
 *   copy is not found.
 *
 * ---- With and without libatfork ----
 *
 * With libatfork, `priority` decides the order, the `child` callback also runs after a bypassing fork
 * (atfork_poll()), and the hook ends before dlclose(3) unmaps your code.
 *
 * Without libatfork the callbacks have what pthread_atfork(3) gives them, and no more:
 *
 * - `priority` and `name` have no effect.
 * - clone(2), _Fork(3) and syscall(SYS_fork) run no callbacks.
 * - The C library decides what becomes of the callbacks at dlclose(3).  glibc forgets them.  musl
 *   never unloads your code.  With another C library, link your library with -Wl,-z,nodelete.
 * - A callback must not register a hook, and must not fork: with some C libraries that waits for
 *   ever.
 *
 * Write callbacks that are right in both cases.  They take no data, and cannot be unregistered, as
 * pthread_atfork(3) offers neither.  If your library needs more, depend on libatfork, and include
 * <atfork.h>.
 *
 * ---- Systems ----
 *
 * Only on ELF systems does the call look for libatfork.  On others it calls pthread_atfork(3).  On
 * Windows nothing forks: the call fails with ENOSYS.  There a library includes <atfork.h>, so that its
 * hooks run in atfork_spawned().
 */
#ifndef ATFORK_OPTIONAL_H
#define ATFORK_OPTIONAL_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef __ELF__
#include <dlfcn.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The fork handlers of a library. */
struct atfork_optional {
  const char *name;      /* for people; may be NULL */
  int priority;          /* -32768 ... 32767; 0 is usual */
  void (*prepare)(void); /* before the fork */
  void (*parent)(void);  /* after it, in the parent */
  void (*child)(void);   /* after it, in the child */
  uint64_t id;           /* of the hook; set by the call */
  int is_registered;     /* private */
};

#ifdef __ELF__

/* As struct atfork_hook, which may be declared in the same file. */
struct atfork_optional_layout {
  const char *name;
  int priority;
  void (*prepare)(void *data);
  void (*parent)(void *data);
  void (*child)(void *data);
  int (*try_prepare)(void *data);
  void (*wait)(void *data);
  void *data;
  void (*destroy)(void *data);
};

typedef uint64_t atfork_optional_registering(const struct atfork_optional_layout *hook, void *dso);

/* A weakref, unlike a weak declaration, leaves the caller's own uses of these symbols strong. */
static atfork_optional_registering atfork_optional_linked __attribute__((weakref("atfork_register_for")));
static void *atfork_optional_dlopen(const char *path, int flags) __attribute__((weakref("dlopen")));
static void *atfork_optional_dlsym(void *object, const char *name) __attribute__((weakref("dlsym")));

/* The address that stands for the caller's shared object, as ATFORK_MODULE in atfork.h. */
extern void *atfork_optional_module __asm__("__dso_handle") __attribute__((visibility("hidden")));

#ifdef __cplusplus
#define ATFORK_OPTIONAL_OF(data) static_cast<const struct atfork_optional *>(data)
#else
#define ATFORK_OPTIONAL_OF(data) ((const struct atfork_optional *)(data))
#endif

static inline void atfork_optional_prepare(void *data) {
  ATFORK_OPTIONAL_OF(data)->prepare();
}

static inline void atfork_optional_parent(void *data) {
  ATFORK_OPTIONAL_OF(data)->parent();
}

static inline void atfork_optional_child(void *data) {
  ATFORK_OPTIONAL_OF(data)->child();
}

#undef ATFORK_OPTIONAL_OF

/* Registers the caller's callbacks as a hook of libatfork. */
static inline uint64_t atfork_optional_register_by(atfork_optional_registering *by, struct atfork_optional *hook) {
  struct atfork_optional_layout layout;
  memset(&layout, 0, sizeof layout);
  layout.name = hook->name;
  layout.priority = hook->priority;
  if (hook->prepare) layout.prepare = atfork_optional_prepare;
  if (hook->parent) layout.parent = atfork_optional_parent;
  if (hook->child) layout.child = atfork_optional_child;
  layout.data = hook;
  return by(&layout, &atfork_optional_module);
}

/* RTLD_NOLOAD finds a libatfork that was loaded with RTLD_LOCAL, and loads none. */
static inline uint64_t atfork_optional_register_loaded(struct atfork_optional *hook) {
  atfork_optional_registering *by;
  void *library, *symbol;
  if (!atfork_optional_dlopen || !atfork_optional_dlsym) return 0;
  library = atfork_optional_dlopen("libatfork.so.0", RTLD_LAZY | RTLD_NOLOAD);
  errno = ENOSYS;
  if (!library) return 0;
  symbol = atfork_optional_dlsym(library, "atfork_register_for");
  memcpy(&by, &symbol, sizeof by);
  return by ? atfork_optional_register_by(by, hook) : 0;
}

/* 0 and ENOSYS say that there is no libatfork.  The command `atfork` puts functions in front of those of libatfork; in
 * a program without libatfork these fail with ENOSYS, too. */
static inline uint64_t atfork_optional_register_hook(struct atfork_optional *hook) {
  uint64_t id = 0;
  errno = ENOSYS;
  if (atfork_optional_linked) id = atfork_optional_register_by(atfork_optional_linked, hook);
  return id != 0 || errno != ENOSYS ? id : atfork_optional_register_loaded(hook);
}

#else

static inline uint64_t atfork_optional_register_hook(struct atfork_optional *hook) {
  errno = ENOSYS;
  return hook->id;
}

#endif

static inline int atfork_optional_register_handlers(const struct atfork_optional *hook) {
#ifdef _WIN32
  (void)hook;
  return ENOSYS;
#else
  return pthread_atfork(hook->prepare, hook->parent, hook->child);
#endif
}

static inline int atfork_optional_is_valid(const struct atfork_optional *hook) {
  return hook && hook->priority >= -32768 && hook->priority <= 32767 && (hook->prepare || hook->parent || hook->child);
}

/*
 * Registers the fork handlers of a library
 *
 * Registers a hook with libatfork if it is loaded, and calls pthread_atfork(3) otherwise;
 * atfork-optional(3) says when libatfork is found.
 *
 * - `prepare` runs before a fork, in the forking thread.
 * - `parent` runs after the fork in the parent, also if the fork has failed.
 * - `child` runs after the fork in the child.
 * - `priority` and `name` are as in struct atfork_hook (atfork_register(3)).  Only libatfork uses
 *   them.
 *
 * Each callback may be NULL, but not all of them.  With libatfork the hook belongs to the shared
 * object that contains the call.
 *
 * If the hook is registered already, the call does nothing and returns 0.  So the call may stand in
 * an initialising function that runs more than once.
 *
 * hook     the callbacks.  It must exist as long as the shared object is loaded (make it static), and
 *          must not change after the call.  Its members `id` and `is_registered` must be 0 at first
 * Returns  0, and then `hook->id` is the id of the hook in libatfork, or 0 if pthread_atfork(3) has
 *          the callbacks; or -1 and errno, and nothing has changed:
 *          EINVAL  `hook` is NULL, it has no callback, or its priority is out of range
 *          ENOMEM  there is no memory
 *          ENOSYS  on Windows
 * Thread-safe, but two threads must not register the same hook at once.  Async-signal-safe: no.
 * Since 0.1.
 */
static inline int atfork_optional_register(struct atfork_optional *hook) {
  int before = errno, failure = 0;
  if (!atfork_optional_is_valid(hook)) {
    errno = EINVAL;
    return -1;
  }
  if (hook->is_registered) return 0;
  hook->id = atfork_optional_register_hook(hook);
  if (hook->id == 0) failure = errno == ENOSYS ? atfork_optional_register_handlers(hook) : errno;
  hook->is_registered = failure == 0;
  errno = failure == 0 ? before : failure;
  return failure == 0 ? 0 : -1;
}

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * atfork-optional: fork handlers that use libatfork where it is loaded, and pthread_atfork(3) elsewhere.
 *
 * This header is for a library that must not depend on libatfork.  It needs no other header of libatfork, and nothing
 * to link with: install it, or copy it into your source tree.  (With a glibc older than 2.34, link with -pthread.)
 *
 *   static struct atfork_optional hook = {.name = "libfoo", .prepare = lock, .parent = unlock, .child = unlock};
 *
 *   int foo_init(void) {
 *     return atfork_optional_register(&hook);
 *   }
 *
 * atfork_optional_register() looks for libatfork at that moment, and decides for good:
 *
 * - The program or one of its libraries is linked with libatfork: the hook is registered there.
 * - libatfork was loaded by dlopen(3) before the call, with RTLD_GLOBAL or with RTLD_LOCAL, as interpreters load it:
 *   the hook is registered there.
 * - libatfork is loaded by dlopen(3) after the call: pthread_atfork(3) has the callbacks, and keeps them.  They still
 *   run once in each fork.  They do not take part in the order of libatfork's hooks.
 * - musl's dlopen(3) loads no libatfork.  There the program must be linked with it.
 * - A program that is linked statically has libatfork only if something else in the program uses
 *   atfork_register_for(), or if it is linked with -Wl,-u,atfork_register_for.
 * - Another plugin has a static copy of libatfork whose functions are hidden: that copy is not found.
 *
 * What libatfork adds is then there without a change of your library: the priority counts, the callbacks run in a child
 * that clone(2) or _Fork(3) has made, and the hook ends before dlclose(3) unmaps your code.  Without libatfork the
 * callbacks have what pthread_atfork(3) gives them, and no more:
 *
 * - `priority` and `name` have no effect.  The callbacks run in the order of pthread_atfork(3).
 * - A fork that bypasses pthread_atfork(3) runs no callback.
 * - The C library decides what becomes of the callbacks at dlclose(3).  glibc forgets them.  musl unloads no object.
 *   With another C library link your library with -Wl,-z,nodelete, so that it stays loaded.
 * - A callback must not register a hook, and must not fork: with some C libraries that waits for ever.
 *
 * So write callbacks that are right in both cases.  A hook cannot be taken back, as pthread_atfork(3) has no way to do
 * that.  The callbacks take no data, for the same reason.  A library that needs either depends on libatfork, and
 * includes <atfork.h>.
 *
 * Only ELF systems find libatfork.  On others pthread_atfork(3) has the callbacks.  On Windows nothing forks: the call
 * fails with ENOSYS, and a library whose hooks shall run in atfork_spawned() uses <atfork.h>.
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

/* The callbacks of a library.  It has static storage: libatfork keeps its address. */
struct atfork_optional {
  const char *name;      /* for people; NULL is "" */
  int priority;          /* -32768 … 32767, as in struct atfork_hook; 0 is usual */
  void (*prepare)(void); /* before the fork; each callback may be NULL, but not all of them */
  void (*parent)(void);  /* after the fork, in the parent */
  void (*child)(void);   /* after the fork, in the child */
  uint64_t id;       /* the call sets it: the hook's id in libatfork, or 0 when pthread_atfork(3) has the callbacks */
  int is_registered; /* private */
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

/* The callbacks that the library has, as libatfork takes them. */
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
 * a program without libatfork they say the same. */
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
 * Registers the callbacks of a library: with libatfork if it is loaded, and with pthread_atfork(3) otherwise.
 *
 * `prepare` runs before a fork, in the forking thread.  `parent` runs after the fork in the parent, also if the fork
 * has failed.  `child` runs after the fork in the child.  The library is found as <atfork-optional.h> says in its
 * introduction.  A hook that is registered already stays as it is, and the call returns 0: so it may stand in an
 * initialising function that runs more than once.
 *
 * With libatfork the hook belongs to the shared object that contains the call.
 *
 * hook     the callbacks; with static storage, and not changed after the call.  `id` and `is_registered` are 0 at first
 * Returns  0, and then `hook->id` is the hook's id in libatfork, or 0 if pthread_atfork(3) has the callbacks; or -1
 *          and errno, with nothing changed:
 *          EINVAL  hook is NULL, has no callback, or a priority out of range
 *          ENOMEM  no memory
 *          ENOSYS  on Windows
 * Thread-safe, but for two calls with the same hook at once.  Async-signal-safe: no.  Since 0.1.
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

/* SPDX-License-Identifier: MIT */
/*
 * Wraps the functions that register fork handlers, and makes each set of three handlers one hook.
 *
 * libatfork's own handlers are passed on to the C library, which then has only these.  Hooks of one priority run in the
 * order of pthread_atfork().  If an object can be unloaded, its hooks end then.  Objects loaded with the program keep
 * their hooks to the end, as they keep handlers in the C library.
 *
 * No bypassing fork runs `prepare`.  A child handler with a `prepare` usually unlocks what this has locked.  So it runs
 * only after a fork that has run its `prepare`, unless --bypassing=all is given.
 */
#include <atfork.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "adopt.h"
#include "environment.h"

enum { PREPARE, PARENT, CHILD, PHASES, SLOTS_AT_ONCE = 127 };

typedef void (*handler)(void);

/* ---- Memory of handlers ---- */

struct slot {
  _Atomic bool taken;
  handler handlers[PHASES];
};

struct chunk {
  struct chunk *next;
  struct slot slots[SLOTS_AT_ONCE];
};

/* The list only grows. */
static struct chunk *_Atomic chunks;

static struct slot *take_slot_of(struct chunk *chunk) {
  for (unsigned i = 0; i < SLOTS_AT_ONCE; i++)
    if (!atomic_exchange(&chunk->slots[i].taken, true)) return &chunk->slots[i];
  return NULL;
}

static bool add_chunk(void) {
  void *memory = mmap(NULL, sizeof(struct chunk), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  struct chunk *chunk = memory;
  chunk->next = atomic_load(&chunks);
  while (!atomic_compare_exchange_weak(&chunks, &chunk->next, chunk)) continue;
  return true;
}

static struct slot *take_slot(void) {
  do {
    for (struct chunk *chunk = atomic_load(&chunks); chunk != NULL; chunk = chunk->next) {
      struct slot *slot = take_slot_of(chunk);
      if (slot != NULL) return slot;
    }
  } while (add_chunk());
  return NULL;
}

static void give_back(void *slot) {
  atomic_store(&((struct slot *)slot)->taken, false);
}

/* ---- Which fork it is ---- */

static enum { UNPAIRED, ALL, NONE } bypassing;

/* The generation of the child that this thread has prepared, and that of the process if an ordinary fork made it; 0:
 * none.  The second is still right when a child's handler forks, and the first changes. */
static _Thread_local uint64_t prepared_for __attribute__((tls_model("initial-exec")));
static _Thread_local uint64_t born_prepared __attribute__((tls_model("initial-exec")));

static bool is_prepared(void) {
  uint64_t here = atfork_generation();
  return prepared_for == here || born_prepared == here;
}

/* Of the hook that is prepared last of all. */
static void on_prepared(void *unused) {
  uint64_t here = atfork_generation();
  (void)unused;
  if (prepared_for == here) born_prepared = here;
  prepared_for = here + 1;
}

static void on_parent(void *unused) {
  (void)unused;
  prepared_for = 0;
}

/* ---- Hooks ---- */

static void run_prepare(void *slot) {
  ((struct slot *)slot)->handlers[PREPARE]();
}

static void run_parent(void *slot) {
  ((struct slot *)slot)->handlers[PARENT]();
}

static void run_child(void *data) {
  const struct slot *slot = data;
  bool is_paired = slot->handlers[PREPARE] != NULL;
  if (bypassing == ALL || (bypassing == UNPAIRED && !is_paired) || is_prepared()) slot->handlers[CHILD]();
}

/* ---- Registering ---- */

/* While libatfork is being made ready, a call comes from it; and only then, as it has its handlers then. */
enum { ASLEEP, WAKING, READY };
static _Atomic int state;

static const void *address_of(handler function) {
  uintptr_t address;
  memcpy(&address, &function, sizeof address);
  return (const void *)address;
}

static const void *any_address(const handler *handlers) {
  for (unsigned phase = 0; phase < PHASES; phase++)
    if (handlers[phase] != NULL) return address_of(handlers[phase]);
  return NULL;
}

static int adopt(const handler *handlers, void *dso, const struct object *object) {
  int before = errno;
  struct slot *slot = take_slot();
  if (slot == NULL) return ENOMEM;
  memcpy(slot->handlers, handlers, sizeof slot->handlers);
  struct atfork_hook hook = {
      .name = adopt_name(object->path),
      .priority = adopt_priority(object->path),
      .prepare = handlers[PREPARE] == NULL ? NULL : run_prepare,
      .parent = handlers[PARENT] == NULL ? NULL : run_parent,
      .child = handlers[CHILD] == NULL ? NULL : run_child,
      .data = slot,
      .destroy = give_back,
  };
  bool registered = atfork_register_for(&hook, object->stays ? NULL : dso) != 0;
  if (!registered) give_back(slot);
  errno = before;
  return registered ? 0 : ENOMEM;
}

/* ---- The load ---- */

static void read_bypassing(void) {
  const char *which = getenv(ADOPT_BYPASSING);
  if (which != NULL && strcmp(which, ADOPT_ALL) == 0) bypassing = ALL;
  if (which != NULL && strcmp(which, ADOPT_NONE) == 0) bypassing = NONE;
}

/* Called before the first handler is adopted, as other objects' constructors may run before ours.  It has libatfork
 * register its own handlers with the C library. */
static void wake(void) {
  int asleep = ASLEEP;
  if (!atomic_compare_exchange_strong(&state, &asleep, WAKING)) return;
  adopt_note_objects();
  adopt_read_priorities();
  read_bypassing();
  atfork_register_for(
      &(struct atfork_hook){
          .name = "adopt", .priority = ATFORK_PRIORITY_MIN, .prepare = on_prepared, .parent = on_parent},
      NULL);
  atomic_store(&state, READY);
}

__attribute__((constructor)) static void on_load(void) {
  wake();
}

/* ---- Wrappers ---- */

/*
 * Whether a copy of the library gives these to the C library.  One that is being loaded before ours has not said yet
 * that it serves, and is not to be asked.  Before the C library's own constructor, of which the environment comes,
 * nothing can be asked.
 */
static bool is_of_library(const struct object *object) {
  if (state == ASLEEP && environ != NULL && !object->has_library) wake();
  return state != READY;
}

/* What pthread_atfork() calls, which is linked into each object. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);

EXPORT int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso) {
  const handler handlers[PHASES] = {prepare, parent, child};
  const void *address = any_address(handlers);
  if (address == NULL) return 0;
  struct object object;
  adopt_find_object(&object, address);
  if (is_of_library(&object))
    return ((__typeof__(&__register_atfork))adopt_next("__register_atfork"))(prepare, parent, child, dso);
  adopt_find_object(&object, dso != NULL ? dso : address);
  return adopt(handlers, dso, &object);
}

/* Old programs call this, and programs that look the function up by name.  It is not known when their objects are
 * unloaded. */
EXPORT int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  return __register_atfork(prepare, parent, child, NULL);
}

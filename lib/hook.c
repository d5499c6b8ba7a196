/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <errno.h>
#include <stdbool.h>

#include "fork.h"
#include "os.h"
#include "probes.h"
#include "registry.h"
#include "sequence.h"
#include "state.h"
#include "walk.h"

/* ---- Shared objects ---- */

/* A shared object with hooks, of whose unloading we are notified.  The list only grows; the entry of an unloaded object
 * is reused. */
struct owner {
  struct owner *next;
  void *_Atomic dso; /* NULL: free */
};

/* In the place of a dso: a thread is registering the finaliser. */
static char reserved;

enum { OWNERS_AT_ONCE = 255 };

static bool owner_is_known(const void *dso) {
  for (struct owner *owner = atomic_load(&atfork_state.hooks.owners); owner != NULL; owner = owner->next)
    if (atomic_load(&owner->dso) == dso) return true;
  return false;
}

/* Takes no lock: signal handlers and other threads may do the same, and one batch too many does no harm. */
static bool add_owners(void) {
  struct owner *batch = atfork_os_map(OWNERS_AT_ONCE * sizeof *batch);
  if (batch == NULL) return false;
  for (unsigned i = 0; i + 1 < OWNERS_AT_ONCE; i++) batch[i].next = &batch[i + 1];
  struct owner *first = atomic_load(&atfork_state.hooks.owners);
  do batch[OWNERS_AT_ONCE - 1].next = first;
  while (!atomic_compare_exchange_weak(&atfork_state.hooks.owners, &first, batch));
  return true;
}

static void run_destroy(const struct grave *grave) {
  if (grave->destroy != NULL) grave->destroy(grave->data);
}

static void end_hook(atfork_id id) {
  struct grave grave;
  atfork_registry_bury(id, &grave);
  run_destroy(&grave);
}

WAITING_NAMED void atfork_unload_waits_for_forks(void *dso, uint64_t retired) {
  struct waiting waiting = {.who = "dlclose() or exit()", .what = "other threads' forks, and atfork_foreach()"};
  atfork_fork_wait(0, retired, &waiting);
  WAITING_KEEP(dso);
}

WAITING_NAMED void atfork_unload_waits_for_destroy(void *dso) {
  struct waiting waiting = {.who = "dlclose() or exit()", .what = "another thread, in the destroy of a hook"};
  atfork_fork_wait_for_burial(dso, &waiting);
  WAITING_KEEP(dso);
}

/* Ends the hooks of a shared object that is about to be unmapped: retires all, waits for forks of other threads, and
 * buries all. */
static void on_unload(void *dso) {
  atfork_fork_enter();
  for (struct owner *owner = atomic_load(&atfork_state.hooks.owners); owner != NULL; owner = owner->next) {
    void *expected = dso;
    atomic_compare_exchange_strong(&owner->dso, &expected, NULL);
  }
  for (atfork_id id = 0; (id = atfork_registry_next_owned(dso, id + 1, true)) != 0;) continue;
  atfork_unload_waits_for_forks(dso, sequence_now());
  for (atfork_id id = 0; (id = atfork_registry_next_owned(dso, id + 1, false)) != 0;) {
    PROBE(unregister, id, dso);
    /* dlclose() in a callback: the walk around it has checked already which hooks are retired. */
    if (atfork_frame_innermost() != NULL) atfork_registry_silence(id);
    end_hook(id);
  }
  atfork_unload_waits_for_destroy(dso);
  atfork_registry_collect();
}

static struct owner *reserve_owner(void) {
  do {
    for (struct owner *owner = atomic_load(&atfork_state.hooks.owners); owner != NULL; owner = owner->next) {
      void *free = NULL;
      if (atomic_compare_exchange_strong(&owner->dso, &free, &reserved)) return owner;
    }
  } while (add_owners());
  return NULL;
}

/* True if the hooks of `dso` will end with it.  The finaliser is registered last, as the C library never forgets one: a
 * program that tries again when there was no memory must not register one each time. */
static bool know_owner(void *dso) {
  if (dso == NULL || owner_is_known(dso)) return true;
  struct owner *owner = reserve_owner();
  if (owner == NULL) return false;
  bool is_noted = atfork_os_at_unload(on_unload, dso, dso) == 0;
  atomic_store(&owner->dso, is_noted ? dso : NULL);
  return is_noted;
}

/* ---- Registering ---- */

static bool is_valid(const struct atfork_hook *hook) {
  if (hook == NULL) return false;
  if (hook->priority < ATFORK_PRIORITY_MIN || hook->priority > ATFORK_PRIORITY_MAX) return false;
  if (hook->prepare != NULL && hook->try_prepare != NULL) return false;
  if (hook->wait != NULL && hook->try_prepare == NULL) return false;
  return hook->prepare != NULL || hook->try_prepare != NULL || hook->parent != NULL || hook->child != NULL;
}

atfork_id atfork_hook_register(const struct atfork_hook *hook, void *dso) {
  if (!is_valid(hook)) {
    errno = EINVAL;
    return 0;
  }
  int error = errno;
  uint64_t mark = atfork_fork_enter();
  atfork_id id = atfork_fork_is_handled() && know_owner(dso) ? atfork_registry_add(hook, dso, mark - 1) : 0;
  PROBE(register, id, hook->name, hook->priority, dso);
  errno = id == 0 ? ENOMEM : error;
  return id;
}

/* ---- Unregistering ---- */

WAITING_NAMED void atfork_unregister_waits_for_forks(atfork_id id, uint64_t retired) {
  struct waiting waiting = {
      .who = "atfork_unregister()", .what = "other threads' forks, and atfork_foreach(), of hook", .id = id};
  atfork_fork_wait(id_sequence(id), retired, &waiting);
  WAITING_KEEP(id);
}

int atfork_hook_unregister(atfork_id id) {
  struct grave grave;
  atfork_fork_enter();
  bool inside = atfork_frame_innermost() != NULL;
  uint64_t sequence = atfork_registry_retire(id, inside, &grave);
  if (sequence == 0) return -1;
  PROBE(unregister, id, (void *)NULL);
  int error = errno;
  if (grave.id != 0) {
    run_destroy(&grave);
  } else if (!inside) {
    atfork_unregister_waits_for_forks(id, sequence);
    end_hook(id);
  }
  if (!inside) atfork_registry_collect(); /* else atfork_fork_end() does it */
  errno = error;
  return 0;
}

/* ---- Visiting ---- */

int atfork_hook_visit(int (*visit)(const struct atfork_info *info, void *arg), void *arg) {
  if (visit == NULL) {
    errno = EINVAL;
    return -1;
  }
  atfork_fork_enter();
  struct frame *frame = atfork_frame_begin(true);
  struct walk walk;
  int result = 0;
  atfork_walk_begin(&walk, frame, PHASES);
  while (result == 0 && atfork_walk_forward(&walk)) {
    for (size_t i = 0; result == 0 && i < walk.end; i++) {
      struct atfork_info info;
      if (!atfork_walk_takes_part(&walk, i)) continue;
      atfork_walk_describe(&walk, i, &info);
      result = visit(&info, arg);
    }
  }
  atfork_fork_end(frame);
  return result;
}

/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include <assert.h>

#include "thread.h"
#include "transient.h"
#include "waiting.h"

/* The lock is held for one short update, so a wait is long only if a thread is stopped in its update. */
WAITING_NAMED void atfork_waits_for_update(struct transient *t, struct waiting *waiting) {
  uint32_t seen = event_look(&t->lock_free);
  if (atomic_load(&t->owner) != 0) event_sleep(&t->lock_free, seen);
  atfork_waiting_tell(waiting);
}

bool atfork_lock_enter(void) {
  struct transient *t = transient();
  if (atomic_load_explicit(&t->owner, memory_order_relaxed) == thread_self()) return true;
  struct waiting waiting = {.who = "a call", .what = "another thread's update of the registry"};
  for (;;) {
    uintptr_t nobody = 0;
    if (!atomic_compare_exchange_strong(&t->owner, &nobody, thread_self())) {
      atfork_waits_for_update(t, &waiting);
      continue;
    }
    atfork_thread.updating = 1;
    atomic_signal_fence(memory_order_seq_cst);
    /* If a signal handler forked between the exchange and the store, its child does not have the lock.  After the store
     * atfork_lock_inherit() gives it to the child. */
    if (atomic_load_explicit(&t->owner, memory_order_relaxed) == thread_self()) return false;
    atfork_thread.updating = 0;
  }
}

void atfork_lock_leave(bool nested) {
  if (nested) return;
  struct transient *t = transient();
  assert(atfork_thread.updating);
  atfork_thread.updating = 0;
  atomic_signal_fence(memory_order_seq_cst);
  /* An exchange, not a store: if a signal handler forks here, another thread of the child may have taken the lock. */
  uintptr_t mine = thread_self();
  atomic_compare_exchange_strong(&t->owner, &mine, 0);
  event_happened(&t->lock_free);
}

void atfork_lock_inherit(void) {
  if (atfork_thread.updating) atomic_store(&transient()->owner, thread_self());
}

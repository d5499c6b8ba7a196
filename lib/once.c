/* SPDX-License-Identifier: MIT */
/* Something that is done once in each process: a comparison of marks. */
#include <stdatomic.h>
#include <stdbool.h>

#include "atfork.h"
#include "fork.h"
#include "os.h"
#include "transient.h"

typedef _Atomic uint64_t mark;

_Static_assert(sizeof(mark) == sizeof(uint64_t), "struct atfork_once is read in place");

/* The mark of the latest process in which an init has returned. */
static mark *done(struct atfork_once *once) {
  return (mark *)&once->state[0];
}

/* The mark of the latest process in which a thread went into an init. */
static mark *busy(struct atfork_once *once) {
  return (mark *)&once->state[1];
}

static bool is_done(struct atfork_once *once, uint64_t here) {
  /* Pairs with the store in run(): the init's effects are seen here. */
  return atomic_load(done(once)) == here;
}

static void run(struct atfork_once *once, uint64_t here, void (*init)(void *data), void *data) {
  init(data);
  atomic_store(done(once), here);
  atomic_store(busy(once), 0);
  /* Sequentially consistent, with wait_for(): either we see it wait, or it sees us done. */
  struct transient *t = transient();
  if (atomic_load(&t->once_waiters) == 0) return;
  atomic_fetch_add(&t->once_event, 1);
  os_wake_all(&t->once_event);
}

static void wait_for(struct atfork_once *once, uint64_t here) {
  struct transient *t = transient();
  atomic_fetch_add(&t->once_waiters, 1);
  uint32_t event = atomic_load(&t->once_event);
  if (atomic_load(busy(once)) == here) os_wait(&t->once_event, event);
  atomic_fetch_sub(&t->once_waiters, 1);
}

/* A thread of a parent that was inside init leaves the parent's mark, which nobody waits for here. */
void atfork_once(struct atfork_once *once, void (*init)(void *data), void *data) {
  for (;;) {
    uint64_t here = fork_enter();
    if (is_done(once, here)) return;
    uint64_t claimed = atomic_load(busy(once));
    if (claimed == here) {
      wait_for(once, here);
    } else if (atomic_compare_exchange_strong(busy(once), &claimed, here)) {
      if (is_done(once, here)) {
        atomic_store(busy(once), 0);
        return;
      }
      run(once, here, init, data);
      return;
    }
  }
}

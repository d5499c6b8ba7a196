/* SPDX-License-Identifier: MIT */
#include "once.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "fork.h"
#include "process.h"
#include "thread.h"
#include "transient.h"
#include "waiting.h"

typedef _Atomic uint64_t once_mark;

_Static_assert(sizeof(once_mark) == sizeof(uint64_t), "struct atfork_once is read in place");
_Static_assert(_Alignof(struct atfork_once) >= _Alignof(once_mark), "no part of it lies in two cache lines");

/* The complement of the mark of the latest process in which an init has returned. */
static once_mark *done(struct atfork_once *once) {
  return (once_mark *)&once->state[0];
}

/* The mark of the latest process in which a thread called an init. */
static once_mark *busy(struct atfork_once *once) {
  return (once_mark *)&once->state[1];
}

static bool is_done(struct atfork_once *once, uint64_t here) {
  /* Pairs with the store in run(): the init's effects are visible here. */
  return atomic_load(done(once)) == ~here;
}

/* The inits that this thread is in, innermost first: an init may call atfork_once() with another control. */
struct turn {
  struct turn *outer;
  const struct atfork_once *once;
};

static bool is_own_turn(const struct atfork_once *once) {
  for (const struct turn *turn = atfork_thread.turn; turn != NULL; turn = turn->outer)
    if (turn->once == once) return true;
  return false;
}

/* If init forks, it returns in the child, too.  There it does not count as done: the mark is another one. */
static void run(struct atfork_once *once, uint64_t here, void (*init)(void *data), void *data) {
  struct turn turn = {atfork_thread.turn, once};
  atfork_thread.turn = &turn;
  init(data);
  atfork_thread.turn = turn.outer;
  if (process_mark() == here) atomic_store(done(once), ~here);
}

/* An exchange, not a store: if init has forked, another thread of the child may be in its own init by now. */
static void end_turn(struct atfork_once *once, uint64_t here) {
  atomic_compare_exchange_strong(busy(once), &here, 0);
  event_happened(&transient()->init_ended);
}

static void wait_for(struct atfork_once *once, uint64_t here, struct waiting *waiting) {
  struct event *ended = &transient()->init_ended;
  uint32_t seen = event_look(ended);
  if (atomic_load(busy(once)) == here) event_sleep(ended, seen);
  atfork_waiting_tell(waiting);
}

WAITING_NAMED void atfork_once_waits_for_another_thread(struct atfork_once *once, uint64_t here,
                                                        struct waiting *waiting) {
  waiting->what = "another thread's init";
  wait_for(once, here, waiting);
  WAITING_KEEP(once);
}

/* Waits for ever, as pthread_once() does. */
WAITING_NAMED void atfork_once_waits_for_its_own_init(struct atfork_once *once, uint64_t here,
                                                      struct waiting *waiting) {
  waiting->what = "the init that it is called in";
  wait_for(once, here, waiting);
  WAITING_KEEP(once);
}

static void wait_for_turn(struct atfork_once *once, uint64_t here, struct waiting *waiting) {
  if (is_own_turn(once))
    atfork_once_waits_for_its_own_init(once, here, waiting);
  else
    atfork_once_waits_for_another_thread(once, here, waiting);
}

/* If a lost thread of the parent was inside init, `busy` has the parent's mark, for which no thread waits here. */
void atfork_once_run(struct atfork_once *once, void (*init)(void *data), void *data) {
  struct waiting waiting = {.who = "atfork_once()"};
  for (;;) {
    uint64_t here = atfork_fork_enter();
    if (is_done(once, here)) return;
    uint64_t claimed = atomic_load(busy(once));
    if (claimed == here) {
      wait_for_turn(once, here, &waiting);
    } else if (atomic_compare_exchange_strong(busy(once), &claimed, here)) {
      if (!is_done(once, here)) run(once, here, init, data);
      end_turn(once, here);
      return;
    }
  }
}

/* SPDX-License-Identifier: MIT */
/*
 * A frame that another thread's walk takes over, while a third looks at it: it must not take what the last walk wrote
 * there for what the new one has not written yet.
 *
 *   a walk that ends          a walk that begins            whoever retires
 *   writes 0, "beginning"     claims the frame              commits
 *   frees the frame           reads the sequence, S         reads whose frame it is
 *                             writes S into the frame       reads the sequence there
 */
#define LOCATIONS 3
#define STORES 4
#define THREADS 3
#include "weak.pml"

#define SEQUENCE 0
#define THREAD 1
#define BEGAN 2
#define OVER 9

#ifdef BUG_FREES_RELAXED
#define FREEING RELAXED
#else
#define FREEING SC
#endif
#ifdef BUG_CLAIMS_RELAXED
#define CLAIM RELAXED
#else
#define CLAIM SC
#endif

/* Never true: the name of the property, for pan to print. */
hidden byte final;

bool given_up;
byte sequence = 1; /* of the walk that begins, if it does */

proctype Ending() {
  byte me = 0;
  store(THREAD, 1, SC);
  store(BEGAN, OVER, SC);
#ifdef BUG_FREES_FIRST
  store(THREAD, 0, FREEING);
  store(BEGAN, 0, FREEING)
#else
  store(BEGAN, 0, FREEING);
  store(THREAD, 0, FREEING)
#endif
}

proctype Beginning() {
  byte me = 1, free;
  atomic {
    memory[THREAD].value[LAST(THREAD)] == 0 && memory[THREAD].count > 1 ->
    exchange(THREAD, 2, CLAIM, free)
  }
  load(SEQUENCE, SC, sequence);
  store(BEGAN, sequence + 1, SC)
}

proctype Update() {
  byte me = 2, before, thread, began;
  add(SEQUENCE, 1, SC, before);
  load(THREAD, SC, thread);
  if
  :: thread == 0 -> given_up = true
  :: else -> load(BEGAN, SC, began); given_up = (began > 1)
  fi
}

init {
  atomic {
    begin_memory();
    run Ending();
    run Beginning();
    run Update()
  }
  timeout;
  assert(final || !given_up || sequence == 1)
}

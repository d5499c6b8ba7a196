/* SPDX-License-Identifier: MIT */
/*
 * Waiting for an event: the waiter says that it may sleep, and looks; whoever makes it so looks whether somebody may
 * sleep.  Each writes, then reads what the other writes.  The kernel's own look at the word sees the latest.
 */
#define LOCATIONS 2
#define STORES 3
#define THREADS 2
#include "weak.pml"

#define IS_SO 0
#define WORD 1

#ifdef BUG_SAYS_ACQUIRE_RELEASE
#define SAY ACQUIRE
#else
#define SAY SC
#endif
#ifdef BUG_STORES_RELEASE
#define STORE RELEASE
#else
#define STORE SC
#endif
#ifdef BUG_LOOKS_ACQUIRE
#define LOOK ACQUIRE
#else
#define LOOK SC
#endif

/* Never true: the name of the property, for pan to print. */
hidden byte deadlock;

bool asleep;

proctype Waiter() {
  byte me = 0, before, is_so;
  exchange(WORD, 1, SAY, before);
  load(IS_SO, LOOK, is_so);
  if
  :: is_so == 0 ->
     if
     :: atomic { memory[WORD].value[LAST(WORD)] == 1 -> asleep = true }
     :: atomic { memory[WORD].value[LAST(WORD)] != 1 -> skip }
     fi
  :: else
  fi
}

proctype Waker() {
  byte me = 1, before, word;
  store(IS_SO, 1, STORE);
  load(WORD, LOOK, word);
  if
  :: word == 1 -> add(WORD, 1, SC, before); asleep = false
  :: else
  fi
}

init {
  atomic {
    begin_memory();
    run Waiter();
    run Waker()
  }
  timeout;
  assert(deadlock || !asleep)
}

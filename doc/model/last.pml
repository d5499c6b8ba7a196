/* SPDX-License-Identifier: MIT */
/*
 * Two walks end at once, and one of them has retired a hook that the other needs: whichever is over last buries it.
 * Each writes, then reads what the other writes.  A fork that has waited by a hook, and needs all hooks again, meets
 * whoever retires one in the same way.
 *
 *   a walk                                 the walk in which a hook was retired
 *   says that it is over                   commits the retirement
 *   reads the sequence; looks for what     says that it is over
 *   is due, if that has moved              reads whether the others are; buries what no walk needs
 */
#define LOCATIONS 2
#define STORES 2
#define THREADS 2
#include "weak.pml"

#define SEQUENCE 0
#define OVER 1

#ifdef BUG_SAYS_RELEASE
#define SAY RELEASE
#else
#define SAY SC
#endif
#ifdef BUG_READS_ACQUIRE
#define READ ACQUIRE
#else
#define READ SC
#endif
#ifdef BUG_COMMITS_RELEASE
#define COMMIT RELEASE
#else
#define COMMIT SC
#endif

/* Never true: the name of the property, for pan to print. */
hidden byte whole;

byte sequence, over;

proctype Walk() {
  byte me = 0;
  store(OVER, 1, SAY);
  load(SEQUENCE, READ, sequence)
}

proctype Update() {
  byte me = 1, before;
  add(SEQUENCE, 1, COMMIT, before);
  load(OVER, READ, over)
}

init {
  atomic {
    begin_memory();
    run Walk();
    run Update()
  }
  timeout;
  assert(whole || sequence == 1 || over == 1)
}

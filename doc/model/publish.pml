/* SPDX-License-Identifier: MIT */
/*
 * What one thread writes and another reads without a lock: a hook, by the word that puts it in sight, or by the commit.
 *
 *   whoever registers, or retires         a walk
 *   writes the hook, relaxed              reads the sequence
 *   stores `used`, release                reads `used`, acquire: what is below it is whole
 *   advances the sequence                 what was committed until then is in sight, by relaxed loads
 */
#define LOCATIONS 4
#define STORES 2
#define THREADS 2
#include "weak.pml"

#define HOOK 0
#define USED 1
#define RETIRED 2
#define SEQUENCE 3

#ifdef BUG_STORES_RELAXED
#define WORD_STORE RELAXED
#else
#define WORD_STORE RELEASE
#endif
#ifdef BUG_LOADS_RELAXED
#define WORD_LOAD RELAXED
#else
#define WORD_LOAD ACQUIRE
#endif
#ifdef BUG_COMMITS_RELAXED
#define COMMIT RELAXED
#else
#define COMMIT SC
#endif

/* Never true: the name of the property, for pan to print. */
hidden byte whole;

/* Of one hook that is added, and of another that is retired, at the same sequence: it is about what is in sight. */
proctype Update() {
  byte me = 0, before;
  store(HOOK, 1, RELAXED);
  store(USED, 1, WORD_STORE);
  store(RETIRED, 1, WORD_STORE);
  add(SEQUENCE, 1, COMMIT, before)
}

proctype Walk() {
  byte me = 1, sequence, used, hook, retired;
  load(SEQUENCE, SC, sequence);
  load(USED, WORD_LOAD, used);
  load(HOOK, RELAXED, hook);
  load(RETIRED, RELAXED, retired);
  assert(whole || used == 0 || hook == 1);
  assert(whole || sequence == 0 || (used == 1 && retired == 1))
}

init {
  atomic {
    begin_memory();
    run Update();
    run Walk()
  }
}

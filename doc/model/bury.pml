/* SPDX-License-Identifier: MIT */
/*
 * A walk that finds no hook retired looks at no record: it relies on the marks of those that are buried.
 *
 *   whoever retires and buries            a walk that began after the retirement
 *   counts it, release                    reads the count, acquire
 *   commits the retirement                if it is 0: passes over what is marked
 *   marks it as buried, relaxed           else: passes over what is marked or retired
 *   counts it no more, release
 */
#define LOCATIONS 4
#define STORES 3
#define THREADS 2
#include "weak.pml"

#define COUNT 0
#define RETIRED 1
#define SEQUENCE 2
#define DEAD 3

#ifdef BUG_STORES_RELAXED
#define COUNT_STORE RELAXED
#else
#define COUNT_STORE RELEASE
#endif
#ifdef BUG_LOADS_RELAXED
#define COUNT_LOAD RELAXED
#else
#define COUNT_LOAD ACQUIRE
#endif

/* Never true: the name of the property, for pan to print. */
hidden byte final;

proctype Update() {
  byte me = 0, before;
#ifndef BUG_COUNTS_LATE
  store(COUNT, 1, COUNT_STORE);
#endif
  store(RETIRED, 1, RELEASE);
  add(SEQUENCE, 1, SC, before);
#ifdef BUG_COUNTS_LATE
  store(COUNT, 1, COUNT_STORE);
#endif
  store(DEAD, 1, RELAXED);
  store(COUNT, 0, COUNT_STORE)
}

proctype Walk() {
  byte me = 1, sequence, count, dead, retired;
  load(SEQUENCE, SC, sequence);
  load(COUNT, COUNT_LOAD, count);
  load(DEAD, RELAXED, dead);
  load(RETIRED, RELAXED, retired);
  assert(final || sequence == 0 || dead == 1 || (count != 0 && retired == 1))
}

init {
  atomic {
    begin_memory();
    run Update();
    run Walk()
  }
}

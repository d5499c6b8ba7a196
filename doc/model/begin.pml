/* SPDX-License-Identifier: MIT */
/*
 * Beginning a walk against retiring a hook, or against giving back an outgrown table: each writes, then reads what the
 * other writes, so both need one order of all four.  `final` has the same with frames, in one such order.
 *
 *   a walk                                whoever retires, or has put a new table in force
 *   claims a frame, in a new block        writes
 *   counts it                             advances the sequence
 *   reads the sequence, S                 reads the count; then the block, and the frame in it
 *   reads the table, acquire              gives up what no walk needs
 *   writes S into the frame
 */
#define LOCATIONS 6
#define STORES 3
#define THREADS 2
#include "weak.pml"

#define SEQUENCE 0
#define TABLE 1
#define COUNT 2 /* another walk, which needs nothing of this, has a frame all the time */
#define BLOCK 3
#define THREAD 4
#define BEGAN 5

#ifdef BUG_COUNTS_RELAXED
#define COUNTING RELAXED
#else
#define COUNTING SC
#endif
#ifdef BUG_COUNTS_ACQUIRE_RELEASE
#undef COUNTING
#define COUNTING ACQUIRE
#endif
#ifdef BUG_READS_ACQUIRE
#define SEQUENCE_LOAD ACQUIRE
#else
#define SEQUENCE_LOAD SC
#endif
#ifdef BUG_COMMITS_RELEASE
#define COMMIT RELEASE
#else
#define COMMIT SC
#endif
#ifdef BUG_LOOKS_RELAXED
#define LOOK RELAXED
#else
#define LOOK SC
#endif

/* Never true: the name of the property, for pan to print. */
hidden byte final;

bool given_up;
byte sequence, table;

proctype Walk() {
  byte me = 0, before;
  exchange(BLOCK, 1, SC, before);
  exchange(THREAD, 1, SC, before);
  add(COUNT, 1, COUNTING, before);
  load(SEQUENCE, SEQUENCE_LOAD, sequence);
  load(TABLE, ACQUIRE, table);
  store(BEGAN, sequence + 1, SC)
}

proctype Update() {
  byte me = 1, before, count, block, thread, began;
  exchange(TABLE, 1, SC, before);
  add(SEQUENCE, 1, COMMIT, before);
  load(COUNT, LOOK, count);
  if
  :: count == 0 -> given_up = true
  :: else ->
     load(BLOCK, ACQUIRE, block);
     if
     :: block == 0 -> given_up = true
     :: else ->
        load(THREAD, SC, thread);
        if
        :: thread == 0 -> given_up = true
        :: else -> load(BEGAN, SC, began); given_up = (began == 2)
        fi
     fi
  fi
}

init {
  atomic {
    begin_memory();
#ifdef OTHERS
    memory[COUNT].value[0] = 1;
#endif
    run Walk();
    run Update()
  }
  timeout;
  assert(final || !given_up || sequence == 1);
  assert(final || !given_up || table == 1)
}

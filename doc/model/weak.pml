/* SPDX-License-Identifier: MIT */
/*
 * Memory as C11 has it, for processors that reorder.  Each location keeps all that was stored to it, and a thread may
 * load any of these that is not older than what it has seen there.  A release store carries what its thread has seen of
 * every location, and whoever loads it by an acquire has seen that, too.
 *
 * A scenario defines LOCATIONS, STORES (to one location, at most, with the initial 0) and THREADS.  In each thread, `me`
 * is its number from 0.
 *
 * Stronger than C11 in this: the stores to a location are in the order in which they are made; no load sees what is only
 * stored later in the run; and a sequentially consistent load sees each such store after which its thread has made
 * another such access.
 */
#define RELAXED 0
#define ACQUIRE 1
#define RELEASE 1
#define SC 2

typedef view {
  byte at[LOCATIONS] /* the latest store that has been seen */
}
typedef location {
  byte count;
  byte value[STORES];
  view carried[STORES];
  byte sc /* the latest store that a sequentially consistent load must see */
}
location memory[LOCATIONS];
view seen[THREADS];
byte pending[THREADS]; /* the location, from 1, of a thread's latest sequentially consistent store; 0: none */
byte pending_at[THREADS];
hidden byte i, j, last;

#define AT_LEAST(variable, least) variable = (variable < (least) -> (least) : variable)
#define LAST(where) (memory[where].count - 1)

/* To be called first, in an atomic step of init. */
inline begin_memory() {
  for (j : 0 .. LOCATIONS - 1) {
    memory[j].count = 1
  }
}

/* What is said once another access shows that it came before. */
inline come_before(order) {
  if
  :: order == SC && pending[me] != 0 -> AT_LEAST(memory[pending[me] - 1].sc, pending_at[me])
  :: else
  fi
}

inline see(which, order) {
  seen[me].at[which] = i;
  if
  :: order >= ACQUIRE ->
     for (j : 0 .. LOCATIONS - 1) {
       AT_LEAST(seen[me].at[j], memory[which].carried[i].at[j])
     }
  :: else
  fi
}

/* Behind all other stores to it; `from` is the one that it carries on from, 0 when it is a mere store. */
inline append(which, what, order, from) {
  i = memory[which].count;
  assert(i < STORES);
  memory[which].value[i] = what;
  memory[which].count = i + 1;
  seen[me].at[which] = i;
  for (j : 0 .. LOCATIONS - 1) {
    memory[which].carried[i].at[j] = (order >= RELEASE -> seen[me].at[j] : 0);
    AT_LEAST(memory[which].carried[i].at[j], memory[which].carried[from].at[j])
  }
  memory[which].carried[i].at[which] = i;
  if
  :: order == SC -> pending[me] = which + 1; pending_at[me] = i
  :: else
  fi
}

inline store(which, what, order) {
  atomic {
    come_before(order);
    append(which, what, order, 0)
  }
}

inline load(which, order, into) {
  atomic {
    come_before(order);
    i = seen[me].at[which];
    if
    :: order == SC -> AT_LEAST(i, memory[which].sc)
    :: else
    fi;
    do
    :: i < LAST(which) -> i++
    :: break
    od;
    see(which, order);
    into = memory[which].value[i]
  }
}

/* Reads and writes in one: always the latest. */
inline exchange(which, what, order, into) {
  atomic {
    come_before(order);
    last = LAST(which);
    i = last;
    see(which, order);
    into = memory[which].value[last];
    append(which, what, order, last)
  }
}

inline add(which, more, order, into) {
  exchange(which, memory[which].value[LAST(which)] + more, order, into)
}

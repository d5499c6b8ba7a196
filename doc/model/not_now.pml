/* SPDX-License-Identifier: MIT */
/*
 * A fork whose hook says "not now", and waits by it; another thread has what is waited for, and takes a hook back, before
 * it lets go or afterwards: the hook itself, which waits in slices (-DITSELF), or another one.
 *
 * Hook 0 is prepared without a word, hook 1 wants the lock.  Sequences as in registry.c: both hooks were added before
 * the fork began.
 */
#ifdef ITSELF
#define TAKEN 1
#else
#define TAKEN 0
#endif

byte sequence = 2;
byte retired[2]; /* the sequence; 0: not retired */
byte began;      /* the fork's sequence + 1; 0: only beginning */
byte only;       /* the hook that the fork needs + 1; 0: all */
bool walking;
bool locked = true; /* by the other thread */
bool holds;         /* the fork does */
bool prepared[2];
bool gone[2]; /* taken back for good: no callback may run */
byte done;

/* Never true: the names of the properties, for pan to print. */
hidden byte final, pairing, deadlock;

inline call(h) {
  assert(final || !gone[h])
}

#define TAKES_PART(h) (retired[h] == 0 || retired[h] > s)

inline take_back(h) {
  if
  :: prepared[h] ->
     call(h);
     prepared[h] = false;
     if
     :: h == 1 -> locked = false; holds = false
     :: else
     fi
  :: else
  fi
}

/* Of hook 1, not asked where it is kept; leaves in `refused` what it says. */
inline try_lock() {
  refused = false;
  if
  :: TAKES_PART(1) && !kept ->
     call(1);
     atomic {
       if
       :: locked -> refused = true
       :: else -> locked = true; holds = true; prepared[1] = true
       fi
     }
  :: else
  fi
}

/* Until it has the lock, or hooks have come or gone. */
inline wait_for_lock() {
#ifndef BUG_NEEDS_ALL
  only = 2;
#endif
  do
  :: atomic { !locked -> locked = true; holds = true; prepared[1] = true; break }
#ifndef BUG_NEVER_GIVES_UP
#ifdef ITSELF
  :: sequence != s -> began = 0; only = 0; break
#endif
#endif
  od;
  call(1)
}

inline begin_anew() {
#ifdef BUG_READS_FIRST
  s = sequence;
  began = 0;
  only = 0;
#else
  began = 0;
  only = 0;
  s = sequence;
#endif
#ifdef BUG_BEGINS_FIRST
  began = s + 1;
#endif
  kept = prepared[1];
  if
  :: kept && !TAKES_PART(1) -> take_back(1); kept = false
  :: else
  fi;
  began = s + 1
}

proctype Fork() {
  byte s;
  bool refused, kept;
  walking = true;
  s = sequence;
  began = s + 1;
  do
  :: true ->
     if
     :: TAKES_PART(0) -> call(0); prepared[0] = true
     :: else
     fi;
     try_lock();
     if
     :: !refused -> break
     :: else
     fi;
     take_back(0);
     wait_for_lock();
     begin_anew()
  od;
  assert(pairing || prepared[1] == holds);
  assert(pairing || prepared[0] == TAKES_PART(0));
  take_back(0);
  take_back(1);
  began = 0;
  walking = false;
  done++
}

/* Was added at h + 1. */
#define IS_NEEDED(h, r) \
  (walking && (began == 0 || (began <= r && (only == 0 || only == (h) + 1))))

inline unlock() {
  atomic {
    if
    :: has_it -> locked = false; has_it = false
    :: else
    fi
  }
}

proctype Unregister() {
  byte r;
  bool needed, has_it = true;
  if
  :: unlock()
  :: true
  fi;
  atomic { sequence++; r = sequence; retired[TAKEN] = r }
  do
  :: true ->
     needed = walking;
     if
     :: needed -> needed = IS_NEEDED(TAKEN, r)
     :: else
     fi;
     if
     :: !needed -> break
     :: else -> !IS_NEEDED(TAKEN, r)
     fi
  od;
  gone[TAKEN] = true;
  unlock();
  done++
}

init {
  atomic {
    run Fork();
    run Unregister()
  }
  timeout;
  assert(deadlock || done == 2)
}

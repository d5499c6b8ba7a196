/* SPDX-License-Identifier: MIT */
/* ---- fork.c: frames ---- */

/* The count of frames comes between the claim and the sequence, or a retirement could miss this fork. */
inline frame_begin() {
#ifdef BUG_READS_FIRST
  s = sequence;
#endif
  atomic {
    f = 0;
    do
    :: frame_thread[f] == 0 -> frame_thread[f] = t; break
    :: else -> f++; assert(f < FRAMES)
    od;
    frame_outer[f] = top[t];
    held[f] = 0;
    in_child[f] = false
  }
#if defined(COUNTED) && !defined(BUG_COUNTS_LATE)
  under_way++;
#endif
#ifndef BUG_READS_FIRST
  s = sequence;
#endif
#ifdef BUG_COUNTS_LATE
  under_way++;
#endif
  frame_began[f] = s + 1;
  top[t] = f + 1
}

inline frame_end() {
  top[t] = frame_outer[f];
#ifdef COUNTED
  under_way--;
#endif
  frame_began[f] = 0;
  frame_thread[f] = 0;
  ends++;
  if
  :: retired_count != 0 -> bury_due()
  :: else
  fi
}

/* Leaves the sequence of the oldest fork under way in o. */
inline oldest(others) {
  atomic { o = sequence; g = 0 }
  do
  :: g < FRAMES ->
     atomic {
       if
       :: frame_thread[g] == 0 || (others && frame_thread[g] == t)
       :: else ->
          if
          :: frame_began[g] == 0 -> o = 0
          :: frame_began[g] != 0 && frame_began[g] - 1 < o -> o = frame_began[g] - 1
          :: else
          fi
       fi;
       g++
     }
  :: g == FRAMES -> break
  od;
  g = 0
}

inline keep_own_frames() {
  d_step {
    g = 0;
#ifdef COUNTED
    under_way = 0;
#endif
    do
    :: g < FRAMES ->
       if
#ifndef BUG_KEEPS_FRAMES
       :: frame_thread[g] != 0 && frame_thread[g] != t -> frame_began[g] = 0; frame_thread[g] = 0
#endif
#if defined(COUNTED) && !defined(BUG_COUNTS_NONE)
       :: frame_thread[g] == t -> under_way++
#endif
       :: else
       fi;
       g++
    :: else -> break
    od;
    g = 0
  }
}

/* Sleeping is waiting for `ends` to change, or for being another process; sleep.pml looks closer. */
inline fork_wait(r) {
  do
  :: true ->
     atomic { e = ends; p = process }
#ifdef COUNTED
     if
     :: under_way == 0 -> break
     :: else
     fi;
#endif
     oldest(true);
     if
     :: o >= r -> break
     :: else -> (ends != e || process != p)
     fi;
     fork_enter()
  od;
  o = 0;
  e = 0;
  p = 0
}

/* Leaves in o whether a walk needs a retired hook. */
inline needed(h) {
  atomic { o = 0; g = 0 }
#ifndef BUG_INNER_BURIES
  do
  :: g < FRAMES ->
     atomic {
       if
       :: frame_thread[g] != 0 && (frame_began[g] == 0 || (frame_began[g] > added[h] && frame_began[g] <= (retired[h] >> 1))) -> o = 1
       :: else
       fi;
       g++
     }
  :: g == FRAMES -> break
  od;
  g = 0
#endif
}

inline bury_due() {
  do
  :: true ->
     lock_enter();
     h_ = (nested -> used : 0);
     do
     :: h_ < used && IS_DEFERRED(h_) ->
        needed(h_);
        if
        :: o == 0 -> break
        :: else -> h_++
        fi
     :: h_ < used && !IS_DEFERRED(h_) -> h_++
     :: h_ >= used -> break
     od;
     if
     :: nested || h_ >= used -> lock_leave(); break
     :: else -> bury(h_); lock_leave(); destroy(h_)
     fi
  od;
  h_ = 0;
  o = 0
}

/* ---- fork.c: new processes ---- */

/* A handler inside this thread's own update cannot adopt: the next call outside of one does. */
inline settle() {
  lock_enter();
  if
  :: settled != k ->
     keep_own_frames();
     if
     :: !nested -> registry_adopt(); settled = k
#ifdef BUG_ADOPTS_UNLESS_NESTED
     :: else -> settled = k
#else
     :: else
#endif
     fi
  :: else
  fi;
  lock_leave()
}

/* Leaves the mark in k: this process's, unless a handler forks right after. */
inline fork_enter() {
  atomic {
    if
    :: mark == 0 -> lock_inherit(); generation++; mark = generation + 1
    :: else
    fi;
    k = mark
  }
  if
  :: settled != k -> settle()
  :: else
  fi
}

/* ---- fork.c: phases ---- */

inline enter_callback(h) {
  atomic {
    assert(final || destroyed[h] == 0);
    assert(final || leaving[h] != 2)
  }
}

inline leave_callback(h) {
  enter_callback(h)
}

/*
 * Leaves in o whether the walk calls a hook: decided a step before it is called.  Not even asked whether it is retired,
 * unless some hook was (`sparse`) when the walk began.  A fork sees what the forks that it is nested in have still.
 */
#ifdef BUG_SEES_ALONE
#define OUTER(g) 0
#else
#define OUTER(g) frame_outer[g - 1]
#endif
inline takes_part(h, born) {
  d_step {
    o = (!buried[h] && added[h] <= s && born_in[h] + 1 < born);
    g = (o == 1 && sparse && retired[h] != 0 -> f + 1 : 0);
    if
    :: g != 0 -> o = 0
    :: else
    fi;
    do
    :: g != 0 ->
       if
       :: frame_began[g - 1] > added[h] && frame_began[g - 1] <= (retired[h] >> 1) -> o = 1
       :: else
       fi;
       g = OUTER(g)
    :: else -> break
    od
  }
}
#define ANY 255

inline run_prepare() {
  atomic { h = used; sparse = true }
  do
  :: h > 0 ->
     h--;
     takes_part(h, ANY);
     if
     :: o == 1 ->
        atomic {
          o = 0;
          enter_callback(h);
          assert(pairing || !IN(held[f], h));
          held[f] = WITH(held[f], h)
        }
        callback(PREPARE, h);
        leave_callback(h)
     :: else
     fi
  :: else -> break
  od
}

inline run_parent() {
  atomic { h = 0; sparse = (retired_count != 0) }
  do
  :: h < used ->
     takes_part(h, ANY);
     if
     :: o == 1 ->
        atomic {
          o = 0;
          enter_callback(h);
          assert(pairing || IN(held[f], h));
          held[f] = WITHOUT(held[f], h)
        }
        callback(PARENT, h);
        leave_callback(h)
     :: else
     fi;
     h++
  :: else -> break
  od;
  h = 0;
  assert(pairing || held[f] == 0)
}

/* A child callback that has run in this process has run for the forks whose child phases enclose this one, too. */
inline put_right(h) {
  ran[h]++;
  held[f] = WITHOUT(held[f], h);
  g = top[t];
  do
  :: g != 0 ->
     if
     :: in_child[g - 1] -> held[g - 1] = WITHOUT(held[g - 1], h)
     :: else
     fi;
     g = frame_outer[g - 1]
  :: else -> break
  od
}

/*
 * Hooks that were registered in an earlier process than one of mark `born`.  When a callback has forked and this is its
 * child, its own child phase had the same hooks, or will.  If that would pass over some it is run in the end of this.
 */
#ifdef BUG_CUT_SHORT
#define IS_TO_GO_ON false
#else
#define IS_TO_GO_ON (dispatched < k && retired_count != 0)
#endif
inline run_child(born, here) {
  atomic { h = 0; sparse = (born != ANY || retired_count != 0) }
  do
  :: h < used ->
     takes_part(h, born);
     if
     :: o == 1 ->
        o = 0;
        /* A handler that forks here makes the look good for nothing.  One that comes between the look and the call is
         * the same as one at the callback's first instruction. */
        do
        :: true ->
           fork_enter();
           atomic {
             if
             :: mark != k
             :: else ->
                o = (k == here);
                if
                :: o == 1 ->
                   enter_callback(h);
                   assert(once || ran[h] == 0);
                   assert(once || !born_here[h]); /* not for the fork that made the process it was registered in */
                   put_right(h)
                :: else
                fi;
                break
             fi
           }
        od;
        if
        :: o == 1 ->
           o = 0;
           callback(CHILD, h);
           leave_callback(h)
        :: else
        fi
     :: else
     fi;
     h++
  :: else ->
     fork_enter();
     atomic {
       if
       :: k != here && IS_TO_GO_ON -> dispatched = k; here = k; sparse = true; h = 0
       :: else -> break
       fi
     }
  od;
  h = 0
}

/* ---- fork.c: handlers ---- */

/* A signal handler may come between the fork and on_child(), which is yet to run what is due. */
#ifdef BUG_BORN_TWICE
#define BORN_TWICE true
#else
#define BORN_TWICE false
#endif
#define PREPARED(t) (top[t] != 0 && frame_prepared[top[t] - 1] && !BORN_TWICE)

/* atfork_poll().  A handler may fork at any step: then this is a child that has run its hooks, and its mark is higher. */
inline fork_catch_up() {
  fork_enter();
  m = k;
  d = dispatched;
  if
#ifdef BUG_RUNS_AGAIN
  :: PREPARED(t) || d == m
#else
  :: PREPARED(t) || d >= m
#endif
  :: else ->
     frame_begin();
     atomic {
       if
#ifndef BUG_RUNS_AGAIN
       :: dispatched != d || d >= m
#else
       :: dispatched != d
#endif
       :: else -> dispatched = m; d = ANY
       fi
     }
     if
#ifdef BUG_POLLS_ALL
     :: d == ANY -> run_child(ANY, m)
#else
     :: d == ANY -> run_child(m, m)
#endif
     :: else
     fi;
     frame_end()
  fi;
  d = 0
}

inline on_prepare() {
  fork_catch_up();
  frame_begin();
  run_prepare();
  frame_prepared[f] = true
}

inline on_parent() {
  frame_prepared[f] = false;
#if defined(COUNTED) && defined(BUG_UNCOUNTS_EARLY)
  under_way--;
#endif
  run_parent();
#if defined(COUNTED) && defined(BUG_UNCOUNTS_EARLY)
  under_way++;
#endif
  frame_end()
}

/* When a handler came before, this process has looked already; when it forked, this may be its child, which has run all. */
inline on_child() {
  atomic {
    if
    :: mark == 0 || BORN_TWICE ->
       lock_inherit();
       generation++;
       mark = generation + 1
    :: else
    fi;
    k = mark;
    m = k
  }
  if
  :: settled != k -> settle()
  :: else
  fi;
#ifndef BUG_DISPATCHED_LATE
  atomic { /* an exchange */
    if
    :: dispatched >= m && !BORN_TWICE -> m = 0
    :: else -> dispatched = m
    fi
  }
#endif
  frame_prepared[f] = false;
  if
  :: m != 0 -> run_child(ANY, m)
  :: else
  fi;
  assert(pairing || (held[f] & ~missed) == 0); /* what a fork in a callback bypassed is left to be polled */
#ifdef BUG_DISPATCHED_LATE
  dispatched = m;
#endif
  frame_end()
}

/* What a thread knows, in each of its processes. */
#define LOCALS \
  byte f, s, h; /* its frame, when that began, where its walk stands */ \
  byte k, m, d; /* marks */ \
  byte r, o, e, p; /* a retirement, the oldest fork, what it waits for to change */ \
  byte g, h_; /* for short loops */ \
  bool nested, sparse

/* Goes on when it has returned. */
inline call(what) {
  atomic {
    r = run Call(t, _pid, what);
    thread_of[r] = t;
    turn[t] = r
  }
  r = 0
}

/* After a fork this is the parent, or the child. */
proctype Call(byte t, caller, what) MINE {
  LOCALS;
  if
  :: what == POLL -> fork_catch_up()
  :: what == BYPASSING_FORK ->
     if
     :: atomic { true -> become_child(true) }
     :: true
     fi
  :: what == FORK ->
     on_prepare();
     if
     :: atomic { true -> become_child(false); in_child[f] = true }
        on_child()
     :: true -> on_parent()
     fi
  fi;
  atomic { turn[t] = caller; thread_of[_pid] = 0 }
}

/* A signal handler that forks, once, at any step of thread t. */
proctype Signal(byte t, what) {
  byte callee;
  atomic {
    turn[t] != 0 && !blocked ->
    callee = run Call(t, turn[t], what);
    thread_of[callee] = t;
    turn[t] = callee
  }
}

inline atfork_unregister(h) {
  fork_enter();
#ifdef BUG_SCANS_FIRST
  g = 0;
  do
  :: g < FRAMES -> (frame_thread[g] == 0 || frame_thread[g] == t); g++
  :: g == FRAMES -> break
  od;
#endif
  registry_retire(h, (top[t] != 0));
  if
  :: r != 0 && top[t] == 0 ->
#if !defined(BUG_BURIES_AT_ONCE) && !defined(BUG_SCANS_FIRST)
     fork_wait(r);
#endif
     end_hook(h);
     atomic {
       leaving[h] = 2;
       assert(final || destroyed[h] == 1)
     }
  :: else
  fi;
  r = 0
}

/* Another walk than a fork's: atfork_foreach(). */
inline atfork_foreach() {
  fork_enter();
  frame_begin();
  frame_end()
}

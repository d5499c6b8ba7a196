/* SPDX-License-Identifier: MIT */
/*
 * Sleeping until the forks of two other threads have ended, as fork_wait() does, while a signal handler of the sleeper
 * forks.  The word that is slept on lies in the transient page.
 *
 * The word's low bit says that somebody may sleep on it, so nobody sleeps on a zero: a child finds it 0, and
 * the sleeper that it inherits does not fall asleep there again.  When a signal has interrupted the kernel's
 * futex call, that starts anew (SA_RESTART) or returns.
 */
byte word;    /* transient */
byte waiters; /* transient */
bool busy[2]; /* a fork of that thread is under way: its frame */
bool asleep[2];
bool interrupted;
byte running; /* how many threads have not come to their end */
bool gone[8]; /* the processes of threads that a fork has left behind, by _pid */
bool is_child;
bool inside; /* the sleeper that gets a signal is inside fork_wait() */

/* Never true: the name of the property, for pan to print. */
hidden byte deadlock;

inline futex_wait(value) {
  do
  :: atomic { word != value -> break }
  :: atomic { word == value -> asleep[me] = true }
     if
     :: atomic { !asleep[me] && me == 0 && interrupted -> interrupted = false }
        if
        :: true -> break
        :: true
        fi
     :: atomic { !asleep[me] && !(me == 0 && interrupted) -> break }
     fi
  od
}

inline announce() {
#ifdef BUG_COUNTS_WAITERS
  waiters++;
  value = word
#else
  atomic { word = word | 1; value = word }
#endif
}

inline look_around() {
  ended = !busy[0];
  ended = ended && !busy[1]
}

inline fork_wait() {
  do
  :: true ->
#ifdef BUG_LOOKS_FIRST
     look_around();
     announce();
#else
     announce();
     look_around();
#endif
     if
     :: !ended -> futex_wait(value)
     :: else
     fi;
#ifdef BUG_COUNTS_WAITERS
     waiters--;
#endif
     if
     :: ended -> break
     :: else
     fi
  od
}

proctype Ender(byte which) provided (!gone[_pid]) {
#ifdef BUG_WAKES_FIRST
  bool wake = word & 1;
  busy[which] = false;
#elif defined(BUG_COUNTS_WAITERS)
  bool wake;
  busy[which] = false;
  wake = waiters != 0;
#else
  bool wake;
  busy[which] = false;
  wake = word & 1;
#endif
  if
  :: wake -> word++; atomic { asleep[0] = false; asleep[1] = false }
  :: else
  fi;
  running--
}

proctype Waiter(byte me) provided (!gone[_pid]) {
  byte value;
  bool ended;
  fork_wait();
  inside = false;
  if
  :: me == 0 && is_child ->
     /* The child has threads of its own by now. */
     atomic {
       value = 0;
       ended = false;
       busy[0] = true;
       running = 3;
       run Ender(0);
       run Waiter(1)
     }
     fork_wait()
  :: else
  fi;
  running--
}

/* A handler of the first waiter forks once. */
proctype Signal(byte sleeper) {
  atomic {
    inside && !is_child ->
    interrupted = asleep[0];
    asleep[0] = false;
    if
    :: true -> /* this is the child; keep_own_frames() */
       is_child = true;
       word = 0;
       waiters = 0;
       busy[0] = false;
       busy[1] = false;
       gone[sleeper + 1] = true;
       gone[sleeper + 2] = true;
       running = 1
    :: true
    fi
  }
}

init {
  atomic {
    busy[0] = true;
    busy[1] = true;
    running = 3;
    inside = true;
    run Waiter(0);
    run Ender(0);
    run Ender(1);
    run Signal(1)
  }
  timeout;
  assert(deadlock || running == 0)
}

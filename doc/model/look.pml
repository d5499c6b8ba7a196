/* SPDX-License-Identifier: MIT */
/*
 * The first look in a new process (process.c), which a signal handler interrupts at any step: it looks, and makes
 * children, which look, make more of them, and come back into the first look.
 *
 * As in state.pml a fork chooses whether to go on as the parent or as the child.  What is written of an identity names the
 * process that it was made for, in two steps, so that one which is not whole, or another's, is seen.
 */
#ifdef BUG_TWO_PLACES
#define IDENTITIES 2
#else
#define IDENTITIES 3
#endif
#define FORKS 3
#define BEING_MADE 16

byte process = 1; /* which one this is: the second */
byte forks;       /* how many were made */
bool interrupted; /* the handler runs */

/* Lasting: the first process has looked. */
byte latest;
bool busy[IDENTITIES];
byte name[IDENTITIES];    /* one half of an identity */
byte lineage[IDENTITIES]; /* the other */
byte generation[IDENTITIES];

/* Transient: the address of an identity is its index + 1. */
byte self;
byte mark;

/* Never true: the name of the property, for pan to print. */
hidden byte whole;

inline exchange(word, before, after, done) {
  atomic {
    if
    :: word == before -> word = after; done = true
    :: else -> done = false
    fi
  }
}

inline become_child() {
  atomic {
    from = latest;
    if
    :: from != 0 && !busy[0] -> to = 0
    :: from != 1 && !busy[1] -> to = 1
#ifndef BUG_TWO_PLACES
    :: from != 2 && !busy[2] -> to = 2
#endif
    :: else -> to = (from + 1) % IDENTITIES
    fi;
#ifndef BUG_NOT_BUSY
    busy[to] = true
#endif
  };
  exchange(self, seen, BEING_MADE + to + 1, done);
  if
  :: done ->
     from = latest;
     assert(whole || name[from] == lineage[from]);
     who = process;
     name[to] = who;
     generation[to] = generation[from] + 1;
     lineage[to] = who;
#ifdef BUG_STORES
     self = to + 1
#else
     exchange(self, BEING_MADE + to + 1, to + 1, done)
#endif
  :: else
  fi;
  busy[to] = false
}

inline establish() {
  from = latest;
  made = generation[seen - 1] + 1;
  done = self == seen;
  if
  :: done ->
#ifndef BUG_UNTOLD
     if
     :: from != seen - 1 -> exchange(latest, from, seen - 1, done)
     :: else
     fi;
#endif
     mark = made;
#ifndef BUG_NOT_COMPARED
     done = self == seen && generation[seen - 1] + 1 == made;
     if
     :: done -> break
     :: else -> mark = 0
     fi
#else
     break
#endif
  :: else
  fi
}

inline look() {
  do
  :: seen = self;
     if
     :: seen != 0 && seen < BEING_MADE -> establish()
     :: else -> become_child()
     fi
  od
}

inline process_mark() {
  if
  :: mark == 0 -> look()
  :: else
  fi
}

inline bypassing_fork() {
  if
  :: atomic { forks < FORKS -> forks++ }
     if
     :: true
     :: atomic { process++; self = 0; mark = 0 }
     fi
  :: else
  fi
}

proctype Handler() {
  byte seen, to, from, who, made;
  bool done;
  interrupted = true;
  do
  :: true -> process_mark()
  :: true -> bypassing_fork()
  :: atomic { interrupted = false; break }
  od
}

proctype Thread() provided (!interrupted) {
  byte seen, to, from, who, made;
  bool done;
  process_mark();
  /* No handler comes any more. */
  forks = FORKS;
  process_mark();
  assert(whole || (self != 0 && self < BEING_MADE));
  assert(whole || (name[self - 1] == process && lineage[self - 1] == process));
  assert(whole || latest == self - 1);
  assert(whole || mark == generation[latest] + 1)
}

init {
  atomic {
    run Thread();
    run Handler()
  }
}

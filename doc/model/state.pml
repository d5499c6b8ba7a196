/* SPDX-License-Identifier: MIT */
/*
 * The protocol of registry.c and fork.c, for the scenarios in the files beside this one.
 *
 * One process is looked at, at a time.  A fork does not make a second set of variables: it chooses whether to go
 * on as the parent or as the child.  As the child, the threads that did not fork stop for good, the transient
 * page is zero, and the rest is as it was.  As nothing flows between processes, whatever can happen in any
 * process of the tree happens on some path.
 *
 * A thread is a pile of Promela processes: its script, and above it the forks that its callbacks and signal
 * handlers make.  Only the top of the pile runs.
 *
 * Names are those of the C functions.  Each step that another thread, a handler or a fork may come before or
 * after is a statement of its own; what only the top of the pile can see is joined by atomic.
 */

/* ---- Threads ---- */

#define PILES 8
byte turn[3];          /* the process that runs as thread 1, and 2; 0: the thread is gone */
byte thread_of[PILES]; /* and the thread that a process runs as */
bool blocked;          /* no signal is delivered */
byte scripts;          /* how many threads have not come to the end of their script */

#define MINE provided (turn[thread_of[_pid]] == _pid || thread_of[_pid] == 0)

inline finish_script() {
  atomic {
    scripts--;
    turn[t] = 0
  }
}

/* What callbacks and handlers call, as a process of its own on the pile: there is no other recursion. */
#define FORK 0
#define BYPASSING_FORK 1
#define POLL 2

/* ---- Lasting ---- */

/* `slot` are hooks; retired is the sequence << 1 | deferred, as in the chunk. */
byte sequence = HOOKS;
byte used = HOOKS;
byte added[SLOTS];
byte retired[SLOTS];
bool buried[SLOTS];
byte born_in[SLOTS]; /* the generation that it was registered in */
byte retired_count;

/* The intent: which word (1: used; 2 + h: retired of slot h), and what it was. */
byte intent_word;
byte intent_before;
byte intent_sequence;

byte frame_thread[FRAMES];
byte frame_began[FRAMES]; /* the sequence + 1 */
byte frame_outer[FRAMES]; /* the frame + 1; 0: none */
bool frame_prepared[FRAMES];
byte top[3];              /* of each thread, likewise */
byte under_way;           /* how many frames are claimed; at least, not exactly */

byte generation = GENERATION;
byte dispatched = DISPATCHED;

/* ---- Transient: zero in a new process ---- */

byte mark = GENERATION + 1;
byte settled = GENERATION + 1;
byte owner;
byte ends; /* how many forks have ended: what fork_wait() sleeps on */

/* Thread-local. */
bool updating[3];

/* ---- What the properties look at ---- */

/* Never true: each assertion has the name of its property, for pan to print. */
hidden byte pairing, once, final, whole, deadlock;

byte process;            /* which one this is: counted along the path, no part of the library */
byte destroyed[SLOTS];   /* how many times destroy ran */
byte leaving[SLOTS];     /* 1: atfork_unregister() has been called and found it; 2: and has returned, for good */
byte ran[SLOTS];         /* child callbacks in this process */
bool born_here[SLOTS];   /* registered in this process */
byte held[FRAMES];       /* the hooks prepared in a fork whose parent or child has not run yet, a bit each */
bool in_child[FRAMES];   /* that fork is in its child phase */
byte missed;             /* the hooks that a bypassing fork missed, a bit each */
byte burier[SLOTS];      /* the thread that buried it */
bool left_behind[SLOTS]; /* another thread of the parent had buried it, and was about to call destroy */

#define IN(set, h) (((set) >> (h)) & 1)
#define WITH(set, h) ((set) | (1 << (h)))
#define WITHOUT(set, h) ((set) & ~(1 << (h)))

/* A new process, of thread t alone. */
inline become_child(bypassed) {
  process++;
  turn[3 - t] = 0;
  scripts = 1;
  owner = 0;
  mark = 0;
  settled = 0;
  ends = 0;
  h_ = 0;
  missed = 0;
  do
  :: h_ < SLOTS ->
     ran[h_] = 0;
     born_here[h_] = false;
     if
     :: bypassed && h_ < used && added[h_] <= sequence && (retired[h_] == 0 || (retired[h_] >> 1) > sequence) ->
        missed = WITH(missed, h_)
     :: else
     fi;
     if
     :: buried[h_] && destroyed[h_] == 0 && burier[h_] != t -> left_behind[h_] = true
     :: else
     fi;
     h_++
  :: else -> break
  od;
  h_ = 0
}

/* SPDX-License-Identifier: MIT */
/*
 * What a child inherits, together in one page, as each page that a child writes costs it a fault.  Each
 * member belongs to the file that it is named after; no other touches it, but for what a frame says of its fork, which
 * is fork.c's and process.c's, and of what it buries, which is registry.c's.
 */
#ifndef ATFORK_STATE_H
#define ATFORK_STATE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lineage.h"

enum { STATE_SIZE = 4096, FRAMES_PER_BLOCK = 12, NOTES = 8, IDENTITIES = 3 };

struct identity {
  uint64_t generation;
  uint64_t run;              /* of the whole tree */
  _Atomic uint64_t process;  /* its pid, where the page is not wiped, or forks before the first call were numbered */
  _Atomic uint64_t children; /* the number of the latest, by an ordinary fork or a token */
  _Atomic bool busy;         /* it is being written */
  unsigned char place;       /* an enum atfork_place */
  uint32_t length;           /* of the lineage, in bytes */
  char lineage[LINEAGE_MAX]; /* not terminated */
};

/* process.c: the number of a child, where fork.c is not told of the fork that makes it */
struct note {
  _Atomic uintptr_t thread; /* the address of the forking thread's struct thread; 0: this note is free */
  uint64_t number;
};

struct process {
  struct identity identity[IDENTITIES]; /* used in turn */
  _Atomic(struct identity *) latest;    /* of the process that looked last, of this one and those it descends from */
  struct note notes[NOTES];
};

/* frame.c: a fork under way, or another walk over the hooks */
struct frame {
  _Atomic uintptr_t thread; /* the address of its struct thread; 0: this frame is free */
  _Atomic uint64_t
      began; /* 0: it is only beginning; else the sequence at which it began, perhaps anew, + 1; FRAME_OVER */
  _Atomic uint64_t added; /* the sequence at which it first began: hooks that were added later have no part in it */
  _Atomic uint64_t only;  /* it waits with nothing prepared, and needs only the hook that was added then; 0: all */
  struct frame *outer;    /* the one that this one is nested in */
  int *errno_at;          /* this thread's errno */
  const void *called_at;  /* where the stack stood as fork() called the handler that prepared it */
  uint64_t number;        /* of the child that it makes; 0 unless it is an ordinary fork, prepared */
  bool visits;            /* it is atfork_foreach()'s, and not a fork */
  unsigned char repeats;  /* how often fork() has called that handler once more, and will call the others */
  uint32_t mark;          /* the lower half of that of the process which prepared it, a fork */
  void *_Atomic burying;  /* where the walk is over: the shared object of the hook that it buries, or has buried last */
};

struct frame_block {
  _Atomic(struct frame_block *) next;
  struct frame frames[FRAMES_PER_BLOCK];
};

struct frames {
  struct frame_block block; /* the first of a list that only grows */
  _Atomic uint64_t count;   /* of those in use; perhaps too high, never too low */
};

struct forks {
  _Atomic bool handled;        /* fork() calls our handlers */
  _Atomic uint64_t dispatched; /* the mark of the latest process whose child hooks have begun to run */
};

/* The one word that an update has changed but not yet committed. */
struct intent {
  _Atomic(_Atomic uint64_t *) word; /* NULL: none */
  uint64_t before;
  uint64_t sequence; /* the commit that it is part of */
};

struct registry {
  _Atomic(struct table *) table;
  struct intent intent;
  _Atomic(struct table *) outgrown; /* tables that were replaced, and that a fork under way may be walking */
  _Atomic bool wasteful;            /* most of the table is dead */
};

/* hook.c: a shared object that has registered hooks */
struct owner;
struct hooks {
  _Atomic(struct owner *) owners;
};

struct slab;
struct arenas {
  _Atomic(struct slab *) spare; /* zeroed, of the size of an arena's first slab; NULL: none */
};

struct state {
  alignas(STATE_SIZE) struct process process;
  struct frames frames;
  struct forks forks;
  _Atomic uint64_t sequence; /* sequence.h: of the last registration, unregistration or new table that is committed */
  struct registry registry;
  struct hooks hooks;
  struct arenas arenas;
};

_Static_assert(sizeof(struct state) == STATE_SIZE, "it is one page");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2,
               "a lock inside an atomic may be left locked by a thread that the child does not have");

extern struct state atfork_state;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The state that a child inherits.  It is one page, as each page that a child writes costs it a fault.  Each member
 * belongs to the file that it is named after.  The exceptions are members of a frame: fork.c and process.c use those
 * about its fork, registry.c uses `burying`.
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
  _Atomic uint64_t process;  /* the pid, where pages are not wiped, or when a fork before the first call was numbered */
  _Atomic uint64_t children; /* the number of the latest child, by an ordinary fork or a token */
  _Atomic bool busy;         /* a look is writing it */
  unsigned char place;       /* an enum atfork_place */
  uint32_t length;           /* of the lineage, in bytes */
  char lineage[LINEAGE_MAX]; /* not terminated */
};

/* process.c: the number of the child that a fork before the first call makes */
struct note {
  _Atomic uintptr_t thread; /* the address of the forking thread's struct thread; 0: this note is free */
  uint64_t number;
};

struct process {
  struct identity identity[IDENTITIES]; /* used in turn */
  _Atomic(struct identity *) latest;    /* of this process, or of the closest ancestor that has looked */
  struct note notes[NOTES];
};

/* frame.c: a fork under way, or another walk over the hooks */
struct frame {
  _Atomic uintptr_t thread; /* the address of its struct thread; 0: this frame is free */
  _Atomic uint64_t
      began; /* the sequence at which the walk began, or began anew, + 1; 0: it is only beginning; FRAME_OVER */
  _Atomic uint64_t added; /* the sequence at which the walk first began: it does not see hooks that were added later */
  _Atomic uint64_t only;  /* while the fork waits: it needs only the hook that was added at this sequence; 0: all */
  struct frame *outer;    /* the frame around this one in the same thread */
  int *errno_at;          /* the address of this thread's errno */
  const void *called_at;  /* the stack address at which fork() called `prepare` */
  uint64_t number;        /* of the child; 0 if this is no ordinary fork that is prepared */
  bool visits;            /* a walk of atfork_foreach(), not a fork */
  unsigned char repeats;  /* how often fork() has called `prepare` once more, and will call the others once more */
  uint32_t mark;          /* the lower half of the mark of the process that prepared the fork */
  void *_Atomic burying;  /* at the end of the walk: the shared object of the hook that it buries, or has buried last */
};

struct frame_block {
  _Atomic(struct frame_block *) next;
  struct frame frames[FRAMES_PER_BLOCK];
};

struct frames {
  struct frame_block block; /* the first block of a list that only grows */
  _Atomic uint64_t count;   /* of frames in use; perhaps too high, never too low */
};

struct forks {
  _Atomic bool handled;        /* fork() calls our handlers */
  _Atomic uint64_t dispatched; /* the mark of the latest process that has claimed its child phase */
};

/* The word that an update has changed and not yet committed. */
struct intent {
  _Atomic(_Atomic uint64_t *) word; /* NULL: none */
  uint64_t before;
  uint64_t sequence; /* that the commit will set */
};

struct registry {
  _Atomic(struct table *) table;
  struct intent intent;
  _Atomic(struct table *) outgrown; /* old tables, over which a walk may still be going */
  _Atomic bool wasteful;            /* most hooks of the table are dead */
};

/* hook.c: a shared object that has registered hooks */
struct owner;
struct hooks {
  _Atomic(struct owner *) owners;
};

struct slab;
struct arenas {
  _Atomic(struct slab *) spare; /* a zeroed first slab for the next arena; NULL: none */
};

struct state {
  alignas(STATE_SIZE) struct process process;
  struct frames frames;
  struct forks forks;
  _Atomic uint64_t sequence; /* sequence.h: of the latest registration, unregistration or new table */
  struct registry registry;
  struct hooks hooks;
  struct arenas arenas;
};

_Static_assert(sizeof(struct state) == STATE_SIZE, "it is one page");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2,
               "a lock inside an atomic may be left locked by a thread that the child does not have");

extern struct state atfork_state;

#endif

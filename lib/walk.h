/* SPDX-License-Identifier: MIT */
/*
 * A walk over the hooks in run order, or in the reverse, one block at a time:
 *
 *   atfork_walk_begin(&walk, frame, CHILD);
 *   while (atfork_walk_forward(&walk))
 *     for (size_t i = 0; i < walk.end; i++) ... walk.callbacks[i] ... walk.data[i] ...
 */
#ifndef ATFORK_WALK_H
#define ATFORK_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atfork.h"
#include "table.h"

struct walk {
  size_t end;                         /* the number of hooks in the block */
  const _Atomic(callback) *callbacks; /* of the walk's phase */
  void *const *data;
  bool sparse;  /* a hook of the block may be retired or buried: ask atfork_walk_takes_part() */
  bool refuses; /* a hook of the block may have a try_prepare: ask atfork_walk_refuses() */
  /* Private. */
  const struct table *table;
  const struct frame *frame; /* which says what hooks the walk sees */
  uint64_t born;             /* the mark of a process, whose hooks take no part; 0: all take part */
  enum phase phase;
  int bucket;
  struct chunk *chunk;
  size_t count;  /* the hooks of the chunk that the walk may see */
  size_t first;  /* index of the block's first hook in the chunk */
  bool is_plain; /* every hook that is not dead takes part */
};

/* A walk over the hooks with a callback for `phase`; over all hooks if `phase` is PHASES.  _begin() is followed by
 * _forward() until that returns false, _end() by _backward(). */
void atfork_walk_begin(struct walk *walk, const struct frame *frame, enum phase phase);
bool atfork_walk_forward(struct walk *walk);
void atfork_walk_end(struct walk *walk, const struct frame *frame, enum phase phase);
bool atfork_walk_backward(struct walk *walk);

/* Leaves out the hooks that were registered in the process with this mark. */
void atfork_walk_inherited(struct walk *walk, uint64_t mark);

/* Goes on in another phase, from the current block. */
void atfork_walk_go_on(struct walk *walk, enum phase phase);

/* For the hook at index `i` < walk->end of the block: whether it takes part in the walk, and whether it has a
 * try_prepare. */
bool atfork_walk_takes_part(const struct walk *walk, size_t i);

bool atfork_walk_refuses(const struct walk *walk, size_t i);

/* For a hook that is not buried: its id; and its detail, which exists as long as the walk. */
atfork_id atfork_walk_id(const struct walk *walk, size_t i);
const struct detail *atfork_walk_detail(const struct walk *walk, size_t i);

/* Reads the hook at index `i`. */
void atfork_walk_read(const struct walk *walk, size_t i, struct contents *hook);

/* Reads the hook with this id.  False if it has no callback for `phase`, or if its object has been unloaded. */
bool atfork_walk_find(const struct walk *walk, atfork_id id, enum phase phase, struct contents *hook);

/* Describes a hook that takes part. */
void atfork_walk_describe(const struct walk *walk, size_t i, struct atfork_info *info);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A walk over the hooks in run order, or against it, a block of a chunk at a time:
 *
 *   atfork_walk_begin(&walk, frame, CHILD);
 *   while (atfork_walk_forward(&walk))
 *     for (size_t i = 0; i < walk.end; i++) … walk.callbacks[i] … walk.data[i] …
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
  size_t end;                         /* so many hooks */
  const _Atomic(callback) *callbacks; /* of the walk's phase */
  void *const *data;
  bool sparse;  /* some of them may be retired or buried: ask atfork_walk_takes_part() */
  bool refuses; /* some of them may have a try_prepare: ask atfork_walk_refuses() */
  /* Private. */
  const struct table *table;
  const struct frame *frame; /* whose hooks they are */
  uint64_t born;             /* the mark of a process: hooks that were registered there take no part; 0: they do */
  enum phase phase;
  int bucket;
  struct chunk *chunk;
  size_t count;  /* of its hooks */
  size_t first;  /* of the block that the walk stands at */
  bool is_plain; /* whatever is not dead takes part */
};

/* Of the hooks that have a callback for `phase`, or of all if it is PHASES; then step until false. */
void atfork_walk_begin(struct walk *walk, const struct frame *frame, enum phase phase);
bool atfork_walk_forward(struct walk *walk);
void atfork_walk_end(struct walk *walk, const struct frame *frame, enum phase phase);
bool atfork_walk_backward(struct walk *walk);

/* Leaves out what was registered in the process of this mark. */
void atfork_walk_inherited(struct walk *walk, uint64_t mark);

/* Has it go on from where it stands in another phase. */
void atfork_walk_go_on(struct walk *walk, enum phase phase);

/* The hook at index `i` < walk->end. */
bool atfork_walk_takes_part(const struct walk *walk, size_t i);

bool atfork_walk_refuses(const struct walk *walk, size_t i);

/* Of a hook that is not buried; the detail lasts as long as the walk. */
atfork_id atfork_walk_id(const struct walk *walk, size_t i);
const struct detail *atfork_walk_detail(const struct walk *walk, size_t i);

/* Reads the hook that it stands at. */
void atfork_walk_read(const struct walk *walk, size_t i, struct contents *hook);

/* Reads the hook with this id; whether it has a callback for a phase, and so is not gone with its object. */
bool atfork_walk_find(const struct walk *walk, atfork_id id, enum phase phase, struct contents *hook);

/* Of one that takes part. */
void atfork_walk_describe(const struct walk *walk, size_t i, struct atfork_info *info);

#endif

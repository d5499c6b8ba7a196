/* SPDX-License-Identifier: MIT */
/*
 * Memory that is given back all at once: a list of slabs, each twice as large as the one before.  No memory is handed
 * out twice, so memory that an interrupted update had taken stays unused.
 */
#ifndef ATFORK_ARENA_H
#define ATFORK_ARENA_H

#include <stddef.h>

struct slab;

struct arena {
  struct slab *slab; /* the newest */
};

/* Zeroed memory, aligned for a pointer or a uint64_t; NULL when there is none. */
void *atfork_arena_take(struct arena *arena, size_t size);

/* Gives back all slabs.  The struct arena may lie in one of them. */
void atfork_arena_free(const struct arena *arena);

#endif

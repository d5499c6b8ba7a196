/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "os.h"
#include "state.h"

enum { FIRST_SLAB = 16384, ALIGNMENT = 16 };

struct slab {
  struct slab *previous;
  size_t size; /* in bytes, with this header */
  size_t used;
};

static size_t round_up(size_t size, size_t to) {
  return (size + to - 1) / to * to;
}

/* The first slab of a freed arena is kept for the next arena: small tables come and go often, and clearing memory is
 * cheaper than mapping it. */
static struct slab *take_spare(void) {
  return atomic_exchange(&atfork_state.arenas.spare, NULL);
}

static void keep_spare(struct slab *slab) {
  memset(slab, 0, slab->used);
  slab = atomic_exchange(&atfork_state.arenas.spare, slab);
  if (slab != NULL) atfork_os_unmap(slab, FIRST_SLAB);
}

/* One store adds the slab to the list: a child that is forked in the middle finds the list with the slab or without. */
static struct slab *add_slab(struct arena *arena, size_t needed) {
  struct slab *previous = arena->slab;
  size_t size = previous == NULL ? FIRST_SLAB : 2 * previous->size;
  size = atfork_os_map_size(size < needed ? needed : size);
  struct slab *slab = size == FIRST_SLAB ? take_spare() : NULL;
  if (slab == NULL) slab = atfork_os_map(size);
  if (slab == NULL) return NULL;
  slab->previous = previous;
  slab->size = size;
  slab->used = round_up(sizeof *slab, ALIGNMENT);
  arena->slab = slab;
  return slab;
}

void *atfork_arena_take(struct arena *arena, size_t size) {
  if (size > SIZE_MAX / 4) return NULL;
  size = round_up(size, ALIGNMENT);
  struct slab *slab = arena->slab;
  if (slab == NULL || slab->size - slab->used < size) {
    slab = add_slab(arena, size + round_up(sizeof *slab, ALIGNMENT));
    if (slab == NULL) return NULL;
  }
  void *taken = (char *)slab + slab->used;
  slab->used += size;
  return taken;
}

void atfork_arena_free(const struct arena *arena) {
  struct slab *slab = arena->slab;
  while (slab != NULL) {
    struct slab *previous = slab->previous;
    if (slab->size == FIRST_SLAB)
      keep_spare(slab);
    else
      atfork_os_unmap(slab, slab->size);
    slab = previous;
  }
}

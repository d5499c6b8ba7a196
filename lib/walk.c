/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <assert.h>

#include "frame.h"
#include "registry.h"

void atfork_walk_begin(struct walk *walk, const struct frame *frame, enum phase phase) {
  *walk = (struct walk){.table = registry_table(), .frame = frame, .phase = phase, .bucket = -1};
}

void atfork_walk_end(struct walk *walk, const struct frame *frame, enum phase phase) {
  atfork_walk_begin(walk, frame, phase);
  walk->bucket = BUCKETS;
}

void atfork_walk_inherited(struct walk *walk, uint64_t mark) {
  walk->born = mark;
}

/* Makes the block that begins at index `first` of the chunk the current one. */
static bool stand_at(struct walk *walk, size_t first) {
  walk->first = first;
  walk->end = walk->count - first < BLOCK ? walk->count - first : BLOCK;
  struct arrays arrays = chunk_arrays(walk->chunk, first);
  walk->callbacks = walk->phase == PHASES ? NULL : arrays.callbacks[walk->phase];
  walk->data = arrays.data;
  return true;
}

/* False if the chunk has no hooks for this walk.  Relaxed reads of the flags: the acquire that read `used` shows the
 * flags that were set for these hooks. */
static bool enter(struct walk *walk, struct chunk *chunk) {
  walk->chunk = chunk;
  walk->count = atfork_chunk_count_until(chunk, atomic_load_explicit(&walk->frame->added, memory_order_relaxed));
  if (walk->count == 0) return false;
  if (walk->phase != PHASES && !atomic_load_explicit(&chunk->has[walk->phase], memory_order_relaxed)) return false;
  walk->is_plain = walk->born == 0 && !table_has_retired(walk->table);
  walk->sparse = !walk->is_plain || atomic_load_explicit(&chunk->sparse, memory_order_relaxed);
  walk->refuses = walk->phase == PREPARE && atomic_load_explicit(&chunk->refuses, memory_order_relaxed);
  return true;
}

static struct chunk *next_chunk(struct walk *walk) {
  struct chunk *chunk = walk->chunk;
  if (chunk != NULL) chunk = atfork_table_next_chunk(walk->table, (unsigned)walk->bucket, chunk);
  while (chunk == NULL && (walk->bucket = atfork_table_next_bucket(walk->table, walk->bucket + 1)) < BUCKETS)
    chunk = atfork_table_next_chunk(walk->table, (unsigned)walk->bucket, NULL);
  return chunk;
}

static struct chunk *previous_chunk(struct walk *walk) {
  struct chunk *chunk = walk->chunk == NULL ? NULL : walk->chunk->previous;
  while (chunk == NULL && (walk->bucket = atfork_table_previous_bucket(walk->table, walk->bucket - 1)) >= 0)
    chunk = atfork_table_last_chunk(walk->table, (unsigned)walk->bucket);
  return chunk;
}

bool atfork_walk_forward(struct walk *walk) {
  if (walk->chunk != NULL && walk->first + BLOCK < walk->count) return stand_at(walk, walk->first + BLOCK);
  for (struct chunk *chunk; walk->table != NULL && (chunk = next_chunk(walk)) != NULL;)
    if (enter(walk, chunk)) return stand_at(walk, 0);
  return false;
}

bool atfork_walk_backward(struct walk *walk) {
  if (walk->first > 0) return stand_at(walk, walk->first - BLOCK);
  for (struct chunk *chunk; walk->table != NULL && (chunk = previous_chunk(walk)) != NULL;)
    if (enter(walk, chunk)) return stand_at(walk, (walk->count - 1) / BLOCK * BLOCK);
  return false;
}

/* If the chunk has no callback of this phase, its array is zero. */
void atfork_walk_go_on(struct walk *walk, enum phase phase) {
  walk->phase = phase;
  walk->callbacks = chunk_arrays(walk->chunk, walk->first).callbacks[phase];
}

/* A buried hook was retired before; its bit says so, without its record. */
bool atfork_walk_takes_part(const struct walk *walk, size_t i) {
  struct slot slot = {walk->chunk, walk->first + i};
  if (slot_is_dead(slot)) return false;
  if (walk->is_plain) return true;
  const struct record *record = slot_record(slot);
  uint64_t retired = atomic_load_explicit(&record->retired, memory_order_relaxed);
  if (retired != 0 && !atfork_frame_sees(walk->frame, record->sequence, retired >> 1)) return false;
  return walk->born == 0 || record->detail->generation + 1 < walk->born;
}

bool atfork_walk_refuses(const struct walk *walk, size_t i) {
  return chunk_record(walk->chunk, walk->first + i)->detail->refuses;
}

atfork_id atfork_walk_id(const struct walk *walk, size_t i) {
  return id_of((unsigned)walk->bucket, chunk_record(walk->chunk, walk->first + i)->sequence);
}

const struct detail *atfork_walk_detail(const struct walk *walk, size_t i) {
  return chunk_record(walk->chunk, walk->first + i)->detail;
}

void atfork_walk_read(const struct walk *walk, size_t i, struct contents *hook) {
  atfork_slot_read((struct slot){walk->chunk, walk->first + i}, hook);
}

bool atfork_walk_find(const struct walk *walk, atfork_id id, enum phase phase, struct contents *hook) {
  struct slot slot;
  if (!atfork_table_find(walk->table, id, &slot)) return false;
  atfork_slot_read(slot, hook);
  return hook->callbacks[phase] != NULL;
}

void atfork_walk_describe(const struct walk *walk, size_t i, struct atfork_info *info) {
  struct contents hook;
  atfork_walk_read(walk, i, &hook);
  const struct detail *detail = hook.detail;
  assert(detail != NULL); /* a hook that takes part is not buried */
  *info = (struct atfork_info){
      .id = atfork_walk_id(walk, i),
      .generation = detail->generation,
      .hook =
          {
              .name = detail->name,
              .priority = walk->bucket + ATFORK_PRIORITY_MIN,
              .prepare = detail->refuses ? NULL : hook.callbacks[PREPARE],
              .parent = hook.callbacks[PARENT],
              .child = hook.callbacks[CHILD],
              .try_prepare = detail->refuses ? (try_callback)(any_callback)hook.callbacks[PREPARE] : NULL,
              .wait = detail->wait,
              .data = hook.data,
              .destroy = detail->destroy,
          },
  };
}

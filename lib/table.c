/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <string.h>

_Static_assert(sizeof(void *) <= 8 && sizeof(callback) == sizeof(void *),
               "arrays of callbacks are laid out as pointers");
_Static_assert(sizeof(struct chunk) % sizeof(uint64_t) == 0, "records are aligned");

/* ---- Slots ---- */

/*
 * Binary search for the number of slots.  Sequences strictly increase, so two slots that are n apart differ by at least
 * n.  So the result is at most sequence - first + 1, and at least used - (last - sequence).  If the later hooks were
 * registered without a pause, it is that lower bound, so the search begins there.  A chunk becomes visible with its
 * first hook, so it is never empty.
 */
size_t atfork_chunk_count_until(struct chunk *chunk, uint64_t sequence) {
  size_t used = chunk_used(chunk);
  uint64_t first = chunk->first;
  if (first > sequence) return 0;
  uint64_t last = chunk_record(chunk, used - 1)->sequence;
  if (last <= sequence) return used;
  size_t high = sequence - first < used - 1 ? (size_t)(sequence - first) + 1 : used - 1;
  size_t low = last - sequence < used ? used - (size_t)(last - sequence) : 1;
  for (size_t middle = low; low < high; middle = low + (high - low) / 2) {
    if (chunk_record(chunk, middle)->sequence <= sequence)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/*
 * All stores are relaxed: the commit that makes the slot visible is a release.  Fresh memory is zero, so an array stays
 * untouched while all its callbacks are NULL.
 */
static void write_callback(struct chunk *chunk, enum phase phase, _Atomic(callback) *at, callback call) {
  _Atomic bool *has = &chunk->has[phase];
  if (!atomic_load_explicit(has, memory_order_relaxed)) {
    if (call == NULL) return;
    atomic_store_explicit(has, true, memory_order_relaxed);
  }
  atomic_store_explicit(at, call, memory_order_relaxed);
}

void atfork_slot_write(struct slot slot, const struct contents *contents) {
  struct arrays at = chunk_arrays(slot.chunk, slot.index);
  *at.data = contents->data;
  write_callback(slot.chunk, PREPARE, at.callbacks[PREPARE], contents->callbacks[PREPARE]);
  write_callback(slot.chunk, PARENT, at.callbacks[PARENT], contents->callbacks[PARENT]);
  write_callback(slot.chunk, CHILD, at.callbacks[CHILD], contents->callbacks[CHILD]);
  at.records->sequence = contents->sequence;
  atomic_store_explicit(&at.records->retired, contents->retired, memory_order_relaxed);
  at.records->detail = contents->detail;
  if (slot.index == 0) slot.chunk->first = contents->sequence;
  if (contents->detail->refuses) atomic_store_explicit(&slot.chunk->refuses, true, memory_order_relaxed);
}

static callback read_callback(const struct chunk *chunk, enum phase phase, const _Atomic(callback) *at) {
  if (!atomic_load_explicit(&chunk->has[phase], memory_order_relaxed)) return NULL;
  return atomic_load_explicit(at, memory_order_relaxed);
}

void atfork_slot_read(struct slot slot, struct contents *contents) {
  struct arrays at = chunk_arrays(slot.chunk, slot.index);
  contents->data = *at.data;
  contents->callbacks[PREPARE] = read_callback(slot.chunk, PREPARE, at.callbacks[PREPARE]);
  contents->callbacks[PARENT] = read_callback(slot.chunk, PARENT, at.callbacks[PARENT]);
  contents->callbacks[CHILD] = read_callback(slot.chunk, CHILD, at.callbacks[CHILD]);
  contents->sequence = at.records->sequence;
  contents->retired = atomic_load_explicit(&at.records->retired, memory_order_relaxed);
  contents->detail = at.records->detail;
}

/* Under the lock.  A signal handler inside an update works on a copy, so it writes no bits here. */
static void slot_mark_dead(struct slot slot) {
  word *dead = &chunk_dead(slot.chunk)[slot.index / 64];
  uint64_t others = atomic_load_explicit(dead, memory_order_relaxed);
  atomic_store_explicit(dead, others | UINT64_C(1) << slot.index % 64, memory_order_relaxed);
  atomic_store_explicit(&slot.chunk->sparse, true, memory_order_relaxed);
}

void atfork_slot_silence(struct slot slot) {
  struct arrays at = chunk_arrays(slot.chunk, slot.index);
  for (enum phase phase = 0; phase < PHASES; phase++)
    if (read_callback(slot.chunk, phase, at.callbacks[phase]) != NULL)
      atomic_store_explicit(at.callbacks[phase], NULL, memory_order_relaxed);
  slot_mark_dead(slot);
}

void atfork_slot_bury(struct slot slot) {
  slot_mark_dead(slot);
  slot_record(slot)->detail = NULL;
  table_count_retired(slot.chunk->table, -1);
}

/* ---- Buckets ---- */

/* Relaxed: the bounds are set before the commit that makes a chunk visible, which is a release. */
static void table_widen(struct table *table, int bucket) {
  if (bucket < atomic_load_explicit(&table->lowest, memory_order_relaxed))
    atomic_store_explicit(&table->lowest, bucket, memory_order_relaxed);
  if (bucket > atomic_load_explicit(&table->highest, memory_order_relaxed))
    atomic_store_explicit(&table->highest, bucket, memory_order_relaxed);
}

int atfork_table_next_bucket(const struct table *table, int from) {
  const int lowest = atomic_load_explicit(&table->lowest, memory_order_relaxed);
  const int highest = atomic_load_explicit(&table->highest, memory_order_relaxed);
  for (int i = from < lowest ? lowest : from; i <= highest; i++) {
    if (word_pointer(&table->branch[i / FAN]) == NULL)
      i |= FAN - 1;
    else if (atfork_table_last_chunk(table, (unsigned)i) != NULL)
      return i;
  }
  return BUCKETS;
}

int atfork_table_previous_bucket(const struct table *table, int from) {
  const int lowest = atomic_load_explicit(&table->lowest, memory_order_relaxed);
  const int highest = atomic_load_explicit(&table->highest, memory_order_relaxed);
  for (int i = from > highest ? highest : from; i >= lowest; i--) {
    if (word_pointer(&table->branch[i / FAN]) == NULL)
      i &= ~(FAN - 1);
    else if (atfork_table_last_chunk(table, (unsigned)i) != NULL)
      return i;
  }
  return -1;
}

/* ---- Finding ---- */

struct chunk *atfork_table_last_chunk(const struct table *table, unsigned bucket) {
  const struct branch *branch = word_pointer(&table->branch[bucket / FAN]);
  return branch == NULL ? NULL : word_pointer(&branch->chunk[bucket % FAN]);
}

/* A chunk has no pointer to the next one, as only one word may make a chunk visible; but there are few chunks.  If the
 * first hook of a chunk was not committed, the chunk has disappeared again: it was the last one. */
struct chunk *atfork_table_next_chunk(const struct table *table, unsigned bucket, const struct chunk *chunk) {
  struct chunk *next = atfork_table_last_chunk(table, bucket);
  if (next == chunk) return NULL;
  while (next != NULL && next->previous != chunk) next = next->previous;
  return next;
}

/* The chunk in which a hook that was added at `sequence` would be; NULL if all chunks begin later. */
static struct chunk *chunk_at(const struct table *table, unsigned bucket, uint64_t sequence) {
  struct chunk *chunk = atfork_table_last_chunk(table, bucket);
  while (chunk != NULL && chunk->first > sequence) chunk = chunk->previous;
  return chunk;
}

bool atfork_table_find(const struct table *table, atfork_id id, struct slot *slot) {
  uint64_t sequence = id_sequence(id);
  struct chunk *chunk = table == NULL ? NULL : chunk_at(table, id_bucket(id), sequence);
  if (chunk == NULL) return false;
  *slot = (struct slot){chunk, atfork_chunk_count_until(chunk, sequence) - 1};
  return slot_record(*slot)->sequence == sequence && slot_record(*slot)->detail != NULL;
}

/* Searches one chunk, from the first slot that was added after `after`. */
static bool search_chunk(struct chunk *chunk, uint64_t after, bool (*wanted)(struct slot slot, const void *argument),
                         const void *argument, struct slot *slot) {
  size_t used = chunk_used(chunk);
  slot->chunk = chunk;
  slot->index = atfork_chunk_count_until(chunk, after);
  for (; slot->index < used; slot->index++)
    if (slot_record(*slot)->detail != NULL && wanted(*slot, argument)) return true;
  return false;
}

atfork_id atfork_table_search(const struct table *table, atfork_id from,
                              bool (*wanted)(struct slot slot, const void *argument), const void *argument,
                              struct slot *slot) {
  if (table == NULL) return 0;
  for (int bucket = (int)id_bucket(from); (bucket = atfork_table_next_bucket(table, bucket)) < BUCKETS; bucket++) {
    uint64_t after = id_of((unsigned)bucket, 0) < from ? id_sequence(from) - 1 : 0;
    struct chunk *chunk = chunk_at(table, (unsigned)bucket, after);
    if (chunk == NULL) chunk = atfork_table_next_chunk(table, (unsigned)bucket, NULL);
    for (; chunk != NULL; chunk = atfork_table_next_chunk(table, (unsigned)bucket, chunk))
      if (search_chunk(chunk, after, wanted, argument, slot))
        return id_of((unsigned)bucket, slot_record(*slot)->sequence);
  }
  return 0;
}

/* ---- Making room ---- */

struct table *atfork_table_new(void) {
  struct arena arena = {NULL};
  struct table *table = atfork_arena_take(&arena, sizeof *table);
  if (table == NULL) return NULL;
  table->arena = arena;
  table->lowest = BUCKETS;
  table->highest = -1;
  return table;
}

void atfork_table_free(struct table *table) {
  atfork_arena_free(&table->arena);
}

static struct chunk *chunk_new(struct table *table, size_t capacity, struct chunk *previous) {
  if (capacity > SIZE_MAX / HOOK_SIZE / 2) return NULL;
  if (capacity > BLOCK) capacity = (capacity + BLOCK - 1) / BLOCK * BLOCK;
  const size_t dead = (capacity + 63) / 64 * sizeof(word);
  struct chunk *chunk = atfork_arena_take(&table->arena, sizeof *chunk + HOOK_SIZE * capacity + dead);
  if (chunk == NULL) return NULL;
  chunk->table = table;
  chunk->capacity = capacity;
  chunk->stride = capacity < BLOCK ? capacity : BLOCK;
  chunk->previous = previous;
  return chunk;
}

static bool details_are_alike(const struct detail *a, const struct detail *b) {
  return a->destroy == b->destroy && a->dso == b->dso && a->generation == b->generation && a->refuses == b->refuses &&
         a->wait == b->wait && a->name[0] == b->name[0] && (a->name[0] == '\0' || strcmp(a->name, b->name) == 0);
}

struct detail *atfork_table_keep_detail(struct table *table, const struct detail *wanted) {
  if (table->latest != NULL && details_are_alike(table->latest, wanted)) return table->latest;
  size_t size = strlen(wanted->name) + 1;
  struct detail *detail = atfork_arena_take(&table->arena, sizeof *detail + size);
  if (detail == NULL) return NULL;
  *detail = *wanted;
  detail->name = memcpy(detail + 1, wanted->name, size);
  table->latest = detail;
  return detail;
}

/* A new branch is empty, so it may be visible before the commit. */
static struct branch *branch_of(struct table *table, unsigned bucket) {
  word *at = &table->branch[bucket / FAN];
  struct branch *branch = word_pointer(at);
  if (branch != NULL) return branch;
  branch = atfork_arena_take(&table->arena, sizeof *branch);
  atomic_store_explicit(at, word_of(branch), memory_order_release);
  return branch;
}

bool atfork_table_find_place(struct table *table, unsigned bucket, size_t first_capacity, struct place *place) {
  struct chunk *last = atfork_table_last_chunk(table, bucket);
  size_t used = last == NULL ? 0 : chunk_used(last);
  if (last != NULL && used < last->capacity) {
    *place = (struct place){{last, used}, &last->used, used + 1};
    return true;
  }
  /* The chunk first: then a table with a few hooks of priority 0 needs only one page. */
  struct chunk *chunk = chunk_new(table, last == NULL ? first_capacity : 2 * last->capacity, last);
  struct branch *branch = branch_of(table, bucket);
  if (chunk == NULL || branch == NULL) return false;
  table_widen(table, (int)bucket);
  atomic_store_explicit(&chunk->used, 1, memory_order_relaxed);
  *place = (struct place){{chunk, 0}, &branch->chunk[bucket % FAN], word_of(chunk)};
  return true;
}

/* ---- Copying ---- */

static size_t count_kept(struct chunk *chunk) {
  size_t count = 0;
  for (; chunk != NULL; chunk = chunk->previous)
    for (size_t i = 0; i < chunk_used(chunk); i++) count += chunk_record(chunk, i)->detail != NULL;
  return count;
}

/*
 * Appends the hooks of `from` that are not buried to `to`, which no walk sees yet and which has `*at` hooks.  A detail
 * that successive hooks share is copied once.
 */
static bool copy_chunk(struct table *table, struct chunk *to, size_t *at, struct chunk *from) {
  const struct detail *shared = NULL;
  struct detail *kept = NULL;
  for (size_t i = 0, used = chunk_used(from); i < used; i++) {
    struct contents contents;
    atfork_slot_read((struct slot){from, i}, &contents);
    if (contents.detail == NULL) continue;
    if (contents.detail != shared) {
      shared = contents.detail;
      kept = atfork_table_keep_detail(table, shared);
      if (kept == NULL) return false;
    }
    contents.detail = kept;
    if (contents.retired != 0) table_count_retired(table, 1);
    atfork_slot_write((struct slot){to, (*at)++}, &contents);
  }
  return true;
}

static bool copy_bucket(struct table *to, const struct table *from, unsigned bucket) {
  size_t count = count_kept(atfork_table_last_chunk(from, bucket));
  struct place place;
  if (count == 0) return true;
  if (!atfork_table_find_place(to, bucket, count < FIRST_CAPACITY ? FIRST_CAPACITY : count, &place)) return false;
  atomic_store_explicit(place.changed, place.value, memory_order_relaxed);
  size_t copied = 0;
  for (struct chunk *chunk = NULL; (chunk = atfork_table_next_chunk(from, bucket, chunk)) != NULL;)
    if (!copy_chunk(to, place.slot.chunk, &copied, chunk)) return false;
  atomic_store_explicit(&place.slot.chunk->used, copied, memory_order_relaxed);
  table_count_live(to, (int)copied);
  return true;
}

struct table *atfork_table_copy(struct table *from) {
  struct table *to = atfork_table_new();
  if (to == NULL) return NULL;
  for (int bucket = 0; (bucket = atfork_table_next_bucket(from, bucket)) < BUCKETS; bucket++) {
    if (copy_bucket(to, from, (unsigned)bucket)) continue;
    atfork_table_free(to);
    return NULL;
  }
  return to;
}

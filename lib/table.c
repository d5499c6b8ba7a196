/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <string.h>

_Static_assert(sizeof(void *) <= 8 && sizeof(callback) == sizeof(void *),
               "arrays of callbacks are laid out as pointers");
_Static_assert(sizeof(struct chunk) % sizeof(uint64_t) == 0, "records are aligned");

/* ---- Slots ---- */

/*
 * Sequences strictly increase, so slots that are n apart differ by n at the least: that bounds where one can be from
 * either end, and leaves one place where hooks were registered without a pause: with one before it, the lowest is the
 * place still, so that is looked at first.  A chunk comes in sight with its first hook, so it is never empty.
 */
size_t atfork_chunk_count_until(struct chunk *chunk, uint64_t sequence) {
  size_t used = chunk_used(chunk);
  uint64_t first = chunk->first;
  if (first > sequence) return 0;
  const struct chunk *next = word_pointer(&chunk->next);
  if (next != NULL && next->first <= sequence) return used;
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
 * Relaxed, all of it: the commit that puts the slot in sight is a release.  Fresh memory is zero, and stays untouched
 * where that is what it is to hold.
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

/* Only the lock's holder writes it, and a signal handler inside an update works on a copy. */
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

static void bitmap_set(struct bitmap *bitmap, unsigned i) {
  atomic_fetch_or_explicit(&bitmap->bits[i / 64], UINT64_C(1) << i % 64, memory_order_relaxed);
}

/* The first that is set from `from` on, or FAN. */
static int bitmap_next(const struct bitmap *bitmap, int from) {
  for (int i = from; i < FAN; i = i / 64 * 64 + 64) {
    uint64_t bits = atomic_load_explicit(&bitmap->bits[i / 64], memory_order_relaxed) >> i % 64;
    if (bits != 0) return i + __builtin_ctzll(bits);
  }
  return FAN;
}

/* The last that is set down from `from`, or -1. */
static int bitmap_previous(const struct bitmap *bitmap, int from) {
  for (int i = from; i >= 0; i = i / 64 * 64 - 1) {
    uint64_t bits = atomic_load_explicit(&bitmap->bits[i / 64], memory_order_relaxed) << (63 - i % 64);
    if (bits != 0) return i - __builtin_clzll(bits);
  }
  return -1;
}

/* Who sees a pointer that a commit has stored, release, sees the bit that was set before; a bit without a pointer is
 * an update's that was not committed. */
int atfork_table_next_bucket(const struct table *table, int from) {
  int low = from % FAN;
  for (int high = bitmap_next(&table->used, from / FAN); high < FAN; high = bitmap_next(&table->used, high + 1)) {
    const struct branch *branch = word_pointer(&table->branch[high]);
    if (high != from / FAN) low = 0;
    low = branch == NULL ? FAN : bitmap_next(&branch->used, low);
    if (low < FAN) return high * FAN + low;
  }
  return BUCKETS;
}

int atfork_table_previous_bucket(const struct table *table, int from) {
  int low = from % FAN;
  for (int high = from < 0 ? -1 : bitmap_previous(&table->used, from / FAN); high >= 0;
       high = bitmap_previous(&table->used, high - 1)) {
    const struct branch *branch = word_pointer(&table->branch[high]);
    if (high != from / FAN) low = FAN - 1;
    low = branch == NULL ? -1 : bitmap_previous(&branch->used, low);
    if (low >= 0) return high * FAN + low;
  }
  return -1;
}

/* ---- Finding ---- */

struct chunk *atfork_table_first_chunk(const struct table *table, unsigned bucket) {
  const struct branch *branch = word_pointer(&table->branch[bucket / FAN]);
  return branch == NULL ? NULL : word_pointer(&branch->chunk[bucket % FAN]);
}

static struct chunk *last_chunk(const struct chunk *first) {
  struct chunk *last = word_pointer(&first->last);
  for (struct chunk *next = word_pointer(&last->next); next != NULL; next = word_pointer(&next->next)) last = next;
  return last;
}

struct chunk *atfork_table_last_chunk(const struct table *table, unsigned bucket) {
  const struct chunk *first = atfork_table_first_chunk(table, bucket);
  return first == NULL ? NULL : last_chunk(first);
}

/* From the end, as the last chunk has half of all. */
bool atfork_table_find(const struct table *table, atfork_id id, struct slot *slot) {
  uint64_t sequence = id_sequence(id);
  struct chunk *chunk = table == NULL ? NULL : atfork_table_last_chunk(table, id_bucket(id));
  while (chunk != NULL && chunk->first > sequence) chunk = chunk->previous;
  if (chunk == NULL) return false;
  *slot = (struct slot){chunk, atfork_chunk_count_until(chunk, sequence) - 1};
  return slot_record(*slot)->sequence == sequence && slot_record(*slot)->detail != NULL;
}

/* In one chunk, from the first slot added after `after` on. */
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
    struct chunk *chunk = atfork_table_first_chunk(table, (unsigned)bucket);
    for (; chunk != NULL; chunk = word_pointer(&chunk->next))
      if (search_chunk(chunk, after, wanted, argument, slot))
        return id_of((unsigned)bucket, slot_record(*slot)->sequence);
  }
  return 0;
}

/* ---- Making room ---- */

struct table *atfork_table_new(void) {
  struct arena arena = {NULL};
  struct table *table = atfork_arena_take(&arena, sizeof *table);
  if (table != NULL) table->arena = arena;
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
  atomic_store_explicit(&chunk->last, word_of(chunk), memory_order_relaxed);
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

/* In a new chunk, of which the hook is the first. */
static bool place_in_new_chunk(struct table *table, struct place *place, size_t capacity, struct chunk *previous,
                               word *changed) {
  struct chunk *chunk = chunk_new(table, capacity, previous);
  if (chunk == NULL) return false;
  atomic_store_explicit(&chunk->used, 1, memory_order_relaxed);
  *place = (struct place){{chunk, 0}, changed, word_of(chunk)};
  return true;
}

/* In a new branch, with a new chunk in it. */
static bool place_in_new_branch(struct table *table, struct place *place, unsigned bucket, size_t capacity) {
  struct branch *branch = atfork_arena_take(&table->arena, sizeof *branch);
  if (branch == NULL || !place_in_new_chunk(table, place, capacity, NULL, NULL)) return false;
  bitmap_set(&branch->used, bucket % FAN);
  bitmap_set(&table->used, bucket / FAN);
  atomic_store_explicit(&branch->chunk[bucket % FAN], word_of(place->slot.chunk), memory_order_relaxed);
  place->changed = &table->branch[bucket / FAN];
  place->value = word_of(branch);
  return true;
}

static bool find_place(struct table *table, unsigned bucket, size_t first_capacity, struct place *place) {
  struct branch *branch = word_pointer(&table->branch[bucket / FAN]);
  if (branch == NULL) return place_in_new_branch(table, place, bucket, first_capacity);
  struct chunk *first = word_pointer(&branch->chunk[bucket % FAN]);
  if (first == NULL) {
    bitmap_set(&branch->used, bucket % FAN);
    return place_in_new_chunk(table, place, first_capacity, NULL, &branch->chunk[bucket % FAN]);
  }
  struct chunk *last = last_chunk(first);
  /* Release: a fork that goes there from here sees the chunk as who goes there by `next` does. */
  if (word_pointer(&first->last) != last) atomic_store_explicit(&first->last, word_of(last), memory_order_release);
  size_t used = chunk_used(last);
  if (used == last->capacity) return place_in_new_chunk(table, place, 2 * last->capacity, last, &last->next);
  *place = (struct place){{last, used}, &last->used, used + 1};
  return true;
}

bool atfork_table_find_place(struct table *table, unsigned bucket, struct place *place) {
  return find_place(table, bucket, FIRST_CAPACITY, place);
}

/* ---- Copying ---- */

static size_t count_kept(struct chunk *chunk) {
  size_t count = 0;
  for (; chunk != NULL; chunk = word_pointer(&chunk->next))
    for (size_t i = 0; i < chunk_used(chunk); i++) count += chunk_record(chunk, i)->detail != NULL;
  return count;
}

/*
 * Copies what is not buried behind the first `*at` hooks of a chunk that nobody else sees yet.  A detail is looked for
 * once for all hooks in a row that share it.
 */
static bool copy_chunk(struct table *table, struct chunk *to, size_t *at, struct chunk *from) {
  const struct detail *shared = NULL;
  struct detail *kept = NULL;
  for (size_t i = 0, used = chunk_used(from); i < used; i++) {
    struct contents contents;
    if (chunk_record(from, i)->detail == NULL) continue;
    atfork_slot_read((struct slot){from, i}, &contents);
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
  struct chunk *chunk = atfork_table_first_chunk(from, bucket);
  size_t count = count_kept(chunk);
  struct place place;
  if (count == 0) return true;
  if (!find_place(to, bucket, count < FIRST_CAPACITY ? FIRST_CAPACITY : count, &place)) return false;
  atomic_store_explicit(place.changed, place.value, memory_order_relaxed);
  size_t copied = 0;
  for (; chunk != NULL; chunk = word_pointer(&chunk->next))
    if (!copy_chunk(to, place.slot.chunk, &copied, chunk)) return false;
  atomic_store_explicit(&place.slot.chunk->used, copied, memory_order_relaxed);
  to->live += copied;
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

/* SPDX-License-Identifier: MIT */
/*
 * Where hooks lie.  Does not decide what changes, or when.
 *
 * A table has two levels of pointers, by priority, to lists of chunks.  Each chunk is twice as large as the one before.
 * A chunk neither moves nor grows, so adding and removing hooks copies nothing.  A table lies in one arena.
 *
 * Dispatch reads dense arrays: an array of callbacks for each phase, and one of data.  Other members lie in records. An
 * array of callbacks in which all are NULL is never written, and never read.
 */
#ifndef ATFORK_TABLE_H
#define ATFORK_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "atfork.h"

/* A cast by way of this type says that it is meant: a try_callback is stored as a callback. */
typedef void (*any_callback)(void);
typedef void (*callback)(void *data);
typedef int (*try_callback)(void *data);

enum phase { PREPARE, PARENT, CHILD, PHASES };

enum {
  SEQUENCE_BITS = 48,
  FIRST_CAPACITY = 8, /* hooks in the first chunk of a priority */
  BLOCK = 4096,       /* at most so many hooks share their arrays */
  FAN = 256,          /* two steps lead to 65,536 priorities */
  BUCKETS = FAN * FAN,
};

static const uint64_t sequence_max = (UINT64_C(1) << SEQUENCE_BITS) - 1;

/* All words that a commit may store have this type; a pointer is stored as a number. */
typedef _Atomic uint64_t word;

/* What hooks that were registered alike share. */
struct detail {
  const char *name;
  callback destroy;
  callback wait; /* NULL: none */
  void *dso;
  uint64_t generation;
  bool refuses; /* the callback of PREPARE is a try_callback */
};

struct record {
  uint64_t sequence;
  word retired;          /* 0, or the sequence of the retirement << 1 | deferred */
  struct detail *detail; /* NULL once the hook is buried */
};

/*
 * The header of a chunk.  Blocks of `stride` hooks follow: arrays of data, of the callbacks of each phase, and of
 * records. With blocks, hooks use memory in the order in which they come, not all over a large chunk.  After the blocks
 * there is a bit for each slot, set if the hook is buried, so that a walk need not read its record.  Slots from `used`
 * on belong to the update under way.
 */
struct chunk {
  struct table *table; /* that the chunk belongs to */
  uint64_t first;      /* the sequence of its first hook */
  word used;
  struct chunk *previous; /* with earlier hooks of the same priority */
  size_t capacity;
  size_t stride;            /* hooks in a block */
  _Atomic bool has[PHASES]; /* a hook here has this callback; or one whose commit failed had */
  _Atomic bool refuses;     /* a hook here has a try_prepare */
  _Atomic bool sparse;      /* a hook here is buried */
};

enum { HOOK_SIZE = (1 + PHASES) * sizeof(void *) + sizeof(struct record) };

struct branch {
  word chunk[FAN]; /* the last of each priority */
};

struct table {
  struct arena arena; /* in which the table lies, with this header */
  word branch[FAN];
  _Atomic int lowest, highest; /* all hooks are in these buckets, so a walk skips the others */
  word live;                   /* hooks that are not buried; together with `dead` a hint for renewing the table */
  uint64_t dead;               /* hooks that are buried */
  word retired;                /* hooks that are retired and not buried; perhaps too high, never too low */
  struct detail *latest;       /* the detail of the latest hook, for a next one that is alike */
  struct table *older;         /* in the list of outgrown tables */
  uint64_t outgrown_at;        /* walks that begin at this sequence or later use a newer table */
};

/* ---- Words ---- */

static inline void *word_pointer(const word *from) {
  return (void *)(uintptr_t)atomic_load_explicit(from, memory_order_acquire);
}

static inline uint64_t word_of(const void *to) {
  return (uint64_t)(uintptr_t)to;
}

/* ---- Ids ---- */

static inline unsigned id_bucket(atfork_id id) {
  return (unsigned)(id >> SEQUENCE_BITS);
}

static inline uint64_t id_sequence(atfork_id id) {
  return id & sequence_max;
}

static inline atfork_id id_of(unsigned bucket, uint64_t sequence) {
  return (uint64_t)bucket << SEQUENCE_BITS | sequence;
}

/* ---- Slots ---- */

struct slot {
  struct chunk *chunk;
  size_t index;
};

/* Where a hook lies in the arrays of its block.  The next hooks of the block follow. */
struct arrays {
  void **data;
  _Atomic(callback) *callbacks[PHASES];
  struct record *records;
};
static inline struct arrays chunk_arrays(struct chunk *chunk, size_t i) {
  const size_t stride = chunk->stride;
  void **block = (void **)((char *)(chunk + 1) + i / BLOCK * BLOCK * HOOK_SIZE);
  void **data = block + i % BLOCK;
  return (struct arrays){
      .data = data,
      .callbacks = {(_Atomic(callback) *)(data + stride), (_Atomic(callback) *)(data + 2 * stride),
                    (_Atomic(callback) *)(data + 3 * stride)},
      .records = (struct record *)(block + 4 * stride) + i % BLOCK,
  };
}
static inline struct record *chunk_record(struct chunk *chunk, size_t i) {
  return chunk_arrays(chunk, i).records;
}
static inline word *chunk_dead(struct chunk *chunk) {
  return (word *)((char *)(chunk + 1) + chunk->capacity * HOOK_SIZE);
}
static inline size_t chunk_used(const struct chunk *chunk) {
  return (size_t)atomic_load_explicit(&chunk->used, memory_order_acquire);
}
static inline struct record *slot_record(struct slot slot) {
  return chunk_record(slot.chunk, slot.index);
}
static inline bool slot_is_dead(struct slot slot) {
  return (atomic_load_explicit(&chunk_dead(slot.chunk)[slot.index / 64], memory_order_relaxed) >> slot.index % 64 &
          1) != 0;
}

static inline uint64_t slot_retirement(struct slot slot) {
  return atomic_load_explicit(&slot_record(slot)->retired, memory_order_relaxed);
}

/* How many slots of a chunk were added at or before `sequence`.  They are the first ones of the chunk. */
size_t atfork_chunk_count_until(struct chunk *chunk, uint64_t sequence);

/* The contents of a slot. */
struct contents {
  void *data;
  callback callbacks[PHASES];
  uint64_t sequence;
  uint64_t retired;
  struct detail *detail;
};

void atfork_slot_write(struct slot slot, const struct contents *contents);
void atfork_slot_read(struct slot slot, struct contents *contents);

/* Removes the callbacks, so that walks that are at this block do not call them, and visits skip the hook. */
void atfork_slot_silence(struct slot slot);

/* Makes a retired slot a dead one, which walks skip without reading its record. */
void atfork_slot_bury(struct slot slot);

/* ---- Tables ---- */

/* An empty table; NULL if there is no memory. */
struct table *atfork_table_new(void);

/* A new table with the hooks that are not buried; NULL if there is no memory. */
struct table *atfork_table_copy(struct table *from);

void atfork_table_free(struct table *table);

/* Copies a detail to the table; NULL if there is no memory. */
struct detail *atfork_table_keep_detail(struct table *table, const struct detail *wanted);

/*
 * Changes the count of hooks that are retired and not buried, under the lock.  The count is raised before the
 * retirement is committed: a walk that begins at that sequence must know that it has to read records.  Release pairs
 * with the acquire in table_has_retired(): a walk that reads 0 sees that the hooks are buried.
 */
static inline void table_count_retired(struct table *table, int more) {
  uint64_t count = atomic_load_explicit(&table->retired, memory_order_relaxed);
  atomic_store_explicit(&table->retired, count + (uint64_t)more, memory_order_release);
}
static inline bool table_has_retired(const struct table *table) {
  return table != NULL && atomic_load_explicit(&table->retired, memory_order_acquire) != 0;
}

/* Changes the count of hooks that are not buried, under the lock. */
static inline void table_count_live(struct table *table, int more) {
  uint64_t count = atomic_load_explicit(&table->live, memory_order_relaxed);
  atomic_store_explicit(&table->live, count + (uint64_t)more, memory_order_relaxed);
}
static inline uint64_t table_live(const struct table *table) {
  return atomic_load_explicit(&table->live, memory_order_relaxed);
}

/* The next bucket with hooks from `from` upwards, or BUCKETS; and from `from` downwards, or -1. */
int atfork_table_next_bucket(const struct table *table, int from);
int atfork_table_previous_bucket(const struct table *table, int from);

struct chunk *atfork_table_last_chunk(const struct table *table, unsigned bucket);

/* The chunk after `chunk`, or the first chunk if `chunk` is NULL; NULL if there is none. */
struct chunk *atfork_table_next_chunk(const struct table *table, unsigned bucket, const struct chunk *chunk);

/* Finds a hook that is not buried. */
bool atfork_table_find(const struct table *table, atfork_id id, struct slot *slot);

/* The id of the first hook that is not buried, has an id of at least `from`, and is `wanted`; 0 if there is none. */
atfork_id atfork_table_search(const struct table *table, atfork_id from,
                              bool (*wanted)(struct slot slot, const void *argument), const void *argument,
                              struct slot *slot);

/*
 * The place for the next hook of a priority, and the one word that makes the hook visible.  No walk reads the memory of
 * the place before the word is stored.
 */
struct place {
  struct slot slot;
  word *changed;
  uint64_t value;
};

/* Finds a place in the last chunk of the priority, or in a new chunk; the first chunk gets `first_capacity`.  False if
 * there is no memory. */
bool atfork_table_find_place(struct table *table, unsigned bucket, size_t first_capacity, struct place *place);

#endif

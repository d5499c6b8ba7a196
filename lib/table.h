/* SPDX-License-Identifier: MIT */
/*
 * Where hooks lie.  Knows nothing of who changes them, or when.
 *
 * A table has two levels of pointers, by priority, to lists of chunks, each twice the one before.  A chunk neither
 * moves nor grows, so nothing is copied while hooks come and go; all of a table lies in one arena.
 *
 * What dispatch walks is dense: for each phase an array of callbacks, and one of data for all of them.  What it does
 * not walk lies aside, in records.  An array of callbacks that has none is never written, nor looked at.
 */
#ifndef ATFORK_TABLE_H
#define ATFORK_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "atfork.h"

/* Either kind of callback is kept as this one; a cast by way of it is not an accident. */
typedef void (*any_callback)(void);
typedef void (*callback)(void *data);
typedef int (*try_callback)(void *data);

enum phase { PREPARE, PARENT, CHILD, PHASES };

enum {
  SEQUENCE_BITS = 48,
  FIRST_CAPACITY = 8, /* hooks in the first chunk of a priority */
  BLOCK = 4096,       /* hooks whose arrays lie together, at most */
  FAN = 256,          /* 65,536 priorities are reached in two steps */
  BUCKETS = FAN * FAN,
};

static const uint64_t sequence_max = (UINT64_C(1) << SEQUENCE_BITS) - 1;

/* Words that a commit stores are all of one type; pointers are kept in them as numbers. */
typedef _Atomic uint64_t word;

/* What hooks that are registered alike share. */
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
 * The header of `capacity` hooks.  Blocks of `stride` hooks each follow, so that memory is used in the order in which
 * hooks come, and not all over a large chunk: arrays of data, of the callbacks of each phase, and of records.  Behind
 * them a bit for each hook that is buried, so that a walk need not look at its record.  Slots at `used` and above
 * belong to the update under way.
 */
struct chunk {
  struct table *table; /* that it is of */
  uint64_t first;      /* the sequence of its first hook */
  word used;
  struct chunk *previous; /* of the same priority, with earlier hooks */
  size_t capacity;
  size_t stride;            /* the length of a block */
  _Atomic bool has[PHASES]; /* some hook here has, or nearly had, this callback */
  _Atomic bool refuses;     /* some hook here has a try_prepare */
  _Atomic bool sparse;      /* some hook here is buried */
};

enum { HOOK_SIZE = (1 + PHASES) * sizeof(void *) + sizeof(struct record) };

struct branch {
  word chunk[FAN]; /* the last of each priority */
};

struct table {
  struct arena arena; /* that all of it lies in, itself too */
  word branch[FAN];
  _Atomic int lowest, highest; /* bucket that may have hooks, so that a walk need not look at all */
  word live;                   /* hooks not buried, and buried: advice for collecting, not relied on */
  uint64_t dead;
  word retired;          /* hooks that are retired and not yet buried; perhaps too high, never too low */
  struct detail *latest; /* the detail of the latest hook, in case the next one is alike */
  struct table *older;   /* in the list of outgrown tables */
  uint64_t outgrown_at;  /* the sequence from which on no walk begins here */
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

/* Where a hook lies in the arrays of its block; those behind it in the block follow. */
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

/* How many slots of a chunk were added at or before `sequence`: they come first. */
size_t atfork_chunk_count_until(struct chunk *chunk, uint64_t sequence);

/* What a hook is, apart from its place. */
struct contents {
  void *data;
  callback callbacks[PHASES];
  uint64_t sequence;
  uint64_t retired;
  struct detail *detail;
};

void atfork_slot_write(struct slot slot, const struct contents *contents);
void atfork_slot_read(struct slot slot, struct contents *contents);

/* Takes the callbacks away from walks that stand where it is, and has visits pass over it. */
void atfork_slot_silence(struct slot slot);

/* Makes a retired slot one that walks pass over without a look at its record. */
void atfork_slot_bury(struct slot slot);

/* ---- Tables ---- */

/* An empty one; NULL when there is no memory. */
struct table *atfork_table_new(void);

/* A new one with the hooks that are not buried. */
struct table *atfork_table_copy(struct table *from);

void atfork_table_free(struct table *table);

/* Keeps a copy; NULL when there is no memory. */
struct detail *atfork_table_keep_detail(struct table *table, const struct detail *wanted);

/*
 * How many hooks are retired and not yet buried, for whoever holds the lock.  Added to before such a retirement is
 * committed: a walk that begins at that sequence must know that it has to look.  Release pairs with the acquire in
 * table_has_retired(): who sees none sees them buried.
 */
static inline void table_count_retired(struct table *table, int more) {
  uint64_t count = atomic_load_explicit(&table->retired, memory_order_relaxed);
  atomic_store_explicit(&table->retired, count + (uint64_t)more, memory_order_release);
}
static inline bool table_has_retired(const struct table *table) {
  return table != NULL && atomic_load_explicit(&table->retired, memory_order_acquire) != 0;
}

/* How many hooks are not buried, for whoever holds the lock. */
static inline void table_count_live(struct table *table, int more) {
  uint64_t count = atomic_load_explicit(&table->live, memory_order_relaxed);
  atomic_store_explicit(&table->live, count + (uint64_t)more, memory_order_relaxed);
}
static inline uint64_t table_live(const struct table *table) {
  return atomic_load_explicit(&table->live, memory_order_relaxed);
}

/* The first bucket from `from` on, or the last down from it, that has hooks; BUCKETS or -1 when there is none. */
int atfork_table_next_bucket(const struct table *table, int from);
int atfork_table_previous_bucket(const struct table *table, int from);

struct chunk *atfork_table_last_chunk(const struct table *table, unsigned bucket);

/* The one behind `chunk`, or the first if that is NULL; NULL when there is none. */
struct chunk *atfork_table_next_chunk(const struct table *table, unsigned bucket, const struct chunk *chunk);

/* Finds a hook that is not buried. */
bool atfork_table_find(const struct table *table, atfork_id id, struct slot *slot);

/* The first hook from `from` on that is not buried and `wanted`; its id, or 0. */
atfork_id atfork_table_search(const struct table *table, atfork_id from,
                              bool (*wanted)(struct slot slot, const void *argument), const void *argument,
                              struct slot *slot);

/*
 * Where the next hook of a priority goes, and the one word that puts it there.  Memory that this needs is
 * taken, but out of everybody's sight until the word is stored.
 */
struct place {
  struct slot slot;
  word *changed;
  uint64_t value;
};

/* In the last chunk of the priority, or a new one: the first has that capacity.  False when there is no memory. */
bool atfork_table_find_place(struct table *table, unsigned bucket, size_t first_capacity, struct place *place);

#endif

/* SPDX-License-Identifier: MIT */
#include "registry.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "arena.h"
#include "lock.h"
#include "state.h"

enum {
  SEQUENCE_BITS = 48,
  FIRST_CAPACITY = 8, /* hooks in the first chunk of a priority */
  FAN = 256,          /* 65,536 priorities are reached in two steps */
  PLENTY = 64,        /* so few dead hooks are not worth a new table */
};

static const uint64_t sequence_max = (UINT64_C(1) << SEQUENCE_BITS) - 1;

/* Words that a commit stores are all of one type; pointers are kept in them as numbers. */
typedef _Atomic uint64_t word;

/*
 * The header of `capacity` hooks; arrays of that length follow: data, the callbacks of each phase, sequence,
 * retired, detail.  Slots at `used` and above belong to the update under way.
 */
struct chunk {
  word used;
  word next; /* a chunk of the same priority, with later hooks */
  const struct chunk *previous;
  size_t capacity;
  const struct chunk *last; /* in the first chunk of a priority: a chunk near the end, to find it quickly */
  _Atomic bool refuses;     /* some hook here has a try_prepare */
};

enum { ARRAYS = 4 + PHASES };

struct branch {
  word chunk[FAN];
};

struct table {
  struct arena arena; /* that all of it lies in, itself too */
  word branch[FAN];
  uint64_t live; /* hooks not buried, and buried: advice for collecting, not relied on */
  uint64_t dead;
  struct detail *latest; /* the detail of the latest hook, in case the next one is alike */
  struct table *older;   /* in the list of outgrown tables */
  uint64_t outgrown_at;  /* the sequence from which on no walk begins here */
};

static struct registry *registry(void) {
  return &atfork_state.registry;
}

/* ---- Slots ---- */

static void *array(const struct chunk *chunk, unsigned which) {
  return (char *)(uintptr_t)(chunk + 1) + which * chunk->capacity * sizeof(uint64_t);
}

_Static_assert(sizeof(void *) <= 8 && sizeof(callback) <= 8, "a slot holds a pointer");

static void **data_of(const struct chunk *chunk) {
  return array(chunk, 0);
}
static _Atomic(callback) *callbacks_of(const struct chunk *chunk, enum phase phase) {
  return array(chunk, 1 + (unsigned)phase);
}
static uint64_t *sequence_of(const struct chunk *chunk) {
  return array(chunk, 1 + PHASES);
}
/* 0, or the sequence of the retirement << 1 | deferred. */
static word *retired_of(const struct chunk *chunk) {
  return array(chunk, 2 + PHASES);
}
/* NULL once the hook is buried. */
static struct detail **detail_of(const struct chunk *chunk) {
  return array(chunk, 3 + PHASES);
}

static size_t used_of(const struct chunk *chunk) {
  return (size_t)atomic_load_explicit(&chunk->used, memory_order_acquire);
}

static void *pointer(const word *from) {
  return (void *)(uintptr_t)atomic_load_explicit(from, memory_order_acquire);
}

static uint64_t number(const void *to) {
  return (uint64_t)(uintptr_t)to;
}

static unsigned bucket_of(atfork_id id) {
  return (unsigned)(id >> SEQUENCE_BITS);
}

static atfork_id id_of(unsigned bucket, uint64_t sequence) {
  return (uint64_t)bucket << SEQUENCE_BITS | sequence;
}

/* The first slot of a chunk that was added after `sequence`. */
static size_t slot_after(const struct chunk *chunk, uint64_t sequence) {
  const uint64_t *sequences = sequence_of(chunk);
  size_t low = 0;
  size_t high = used_of(chunk);
  if (high > 0 && sequences[high - 1] <= sequence) return high;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (sequences[middle] <= sequence)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static const struct chunk *first_chunk(const struct table *table, unsigned bucket) {
  const struct branch *branch = pointer(&table->branch[bucket / FAN]);
  return branch == NULL ? NULL : pointer(&branch->chunk[bucket % FAN]);
}

struct slot {
  const struct chunk *chunk;
  size_t index;
};

/* Finds a hook that is not buried. */
static bool find(const struct table *table, atfork_id id, struct slot *slot) {
  if (table == NULL) return false;
  uint64_t sequence = id & sequence_max;
  if (sequence == 0) return false;
  for (const struct chunk *chunk = first_chunk(table, bucket_of(id)); chunk != NULL; chunk = pointer(&chunk->next)) {
    size_t after = slot_after(chunk, sequence);
    if (after == used_of(chunk) && pointer(&chunk->next) != NULL && after > 0 &&
        sequence_of(chunk)[after - 1] != sequence)
      continue;
    if (after == 0 || sequence_of(chunk)[after - 1] != sequence) return false;
    *slot = (struct slot){chunk, after - 1};
    return detail_of(chunk)[after - 1] != NULL;
  }
  return false;
}

/* ---- Commits ---- */

/*
 * An update prepares, out of everybody's sight, one word that will make it so; it stores that word and then
 * advances the sequence, which is the commit.  A walk that began before passes over what the word shows, as its
 * sequence is above the walk's own.
 *
 * Who finds the word stored but the sequence not advanced puts it back: a child whose other threads are gone,
 * or a signal handler inside this thread's own update.
 */
static void undo_uncommitted(void) {
  struct intent *intent = &registry()->intent;
  word *changed = atomic_load_explicit(&intent->word, memory_order_acquire);
  if (changed == NULL) return;
  if (intent->sequence > atomic_load(&registry()->sequence)) atomic_store(changed, intent->before);
  atomic_store_explicit(&intent->word, NULL, memory_order_release);
}

/* False when a signal handler has committed since `sequence` was planned: plan anew. */
static bool commit(word *changed, uint64_t value, uint64_t sequence) {
  struct intent *intent = &registry()->intent;
  /* From here on a handler leaves `changed` behind in a table that is no more in force. */
  if (atomic_load(&registry()->sequence) != sequence - 1) return false;
  /* A handler's commit leaves the interrupted one what it had written here. */
  uint64_t outer_before = intent->before;
  uint64_t outer_sequence = intent->sequence;
  intent->before = atomic_load_explicit(changed, memory_order_relaxed);
  intent->sequence = sequence;
  /* Release: a child that sees the word sees the two lines above. */
  atomic_store_explicit(&intent->word, changed, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(changed, value, memory_order_release);
  uint64_t expected = sequence - 1;
  /* Sequentially consistent, with frame_begin() in fork.c: either that walk begins at this sequence or
   * later, or whoever retired a hook here sees the walk under way. */
  bool committed = atomic_compare_exchange_strong(&registry()->sequence, &expected, sequence);
  atomic_store_explicit(&intent->word, NULL, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst);
  intent->before = outer_before;
  intent->sequence = outer_sequence;
  return committed;
}

/* ---- Tables ---- */

static struct table *current(void) {
  return atomic_load_explicit(&registry()->table, memory_order_acquire);
}

static struct table *table_new(void) {
  struct arena arena = {NULL};
  struct table *table = arena_take(&arena, sizeof *table);
  if (table != NULL) table->arena = arena;
  return table;
}

static struct chunk *chunk_new(struct table *table, size_t capacity, const struct chunk *previous) {
  if (capacity > SIZE_MAX / (ARRAYS * sizeof(uint64_t)) / 2) return NULL;
  struct chunk *chunk = arena_take(&table->arena, sizeof *chunk + ARRAYS * sizeof(uint64_t) * capacity);
  if (chunk == NULL) return NULL;
  chunk->capacity = capacity;
  chunk->previous = previous;
  chunk->last = chunk;
  return chunk;
}

static bool same_detail(const struct detail *a, const struct detail *b) {
  return a->destroy == b->destroy && a->dso == b->dso && a->generation == b->generation && a->refuses == b->refuses &&
         strcmp(a->name, b->name) == 0;
}

static struct detail *detail_keep(struct table *table, const struct detail *wanted) {
  if (table->latest != NULL && same_detail(table->latest, wanted)) return table->latest;
  size_t size = strlen(wanted->name) + 1;
  struct detail *detail = arena_take(&table->arena, sizeof *detail + size);
  if (detail == NULL) return NULL;
  *detail = *wanted;
  detail->name = memcpy(detail + 1, wanted->name, size);
  table->latest = detail;
  return detail;
}

/* Where the next hook of a priority goes, and the word that puts it there. */
struct place {
  struct chunk *chunk;
  size_t index;
  word *changed;
  uint64_t value;
};

static struct chunk *writable(const struct chunk *chunk) {
  return (struct chunk *)(uintptr_t)chunk;
}

static const struct chunk *last_chunk(const struct chunk *first) {
  const struct chunk *last = first->last;
  for (const struct chunk *next = pointer(&last->next); next != NULL; next = pointer(&next->next)) last = next;
  writable(first)->last = last;
  return last;
}

/* In a new chunk, of which the hook is the first. */
static bool place_in_new_chunk(struct table *table, struct place *place, size_t capacity, const struct chunk *previous,
                               word *changed) {
  place->chunk = chunk_new(table, capacity, previous);
  if (place->chunk == NULL) return false;
  atomic_store_explicit(&place->chunk->used, 1, memory_order_relaxed);
  place->index = 0;
  place->changed = changed;
  place->value = number(place->chunk);
  return true;
}

/* In a new branch, with a new chunk in it. */
static bool place_in_new_branch(struct table *table, struct place *place, unsigned bucket, size_t capacity) {
  struct branch *branch = arena_take(&table->arena, sizeof *branch);
  if (branch == NULL || !place_in_new_chunk(table, place, capacity, NULL, NULL)) return false;
  atomic_store_explicit(&branch->chunk[bucket % FAN], number(place->chunk), memory_order_relaxed);
  place->changed = &table->branch[bucket / FAN];
  place->value = number(branch);
  return true;
}

static bool find_place(struct table *table, unsigned bucket, size_t first_capacity, struct place *place) {
  struct branch *branch = pointer(&table->branch[bucket / FAN]);
  if (branch == NULL) return place_in_new_branch(table, place, bucket, first_capacity);
  const struct chunk *first = pointer(&branch->chunk[bucket % FAN]);
  if (first == NULL) return place_in_new_chunk(table, place, first_capacity, NULL, &branch->chunk[bucket % FAN]);
  struct chunk *last = writable(last_chunk(first));
  size_t used = used_of(last);
  if (used == last->capacity) return place_in_new_chunk(table, place, 2 * last->capacity, last, &last->next);
  *place = (struct place){last, used, &last->used, used + 1};
  return true;
}

struct contents {
  void *data;
  callback callbacks[PHASES];
  uint64_t sequence;
  uint64_t retired;
  struct detail *detail;
};

static void slot_write(struct chunk *chunk, size_t i, const struct contents *contents) {
  data_of(chunk)[i] = contents->data;
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    atomic_store_explicit(&callbacks_of(chunk, phase)[i], contents->callbacks[phase], memory_order_relaxed);
  sequence_of(chunk)[i] = contents->sequence;
  atomic_store_explicit(&retired_of(chunk)[i], contents->retired, memory_order_relaxed);
  detail_of(chunk)[i] = contents->detail;
  if (contents->detail->refuses) atomic_store_explicit(&chunk->refuses, true, memory_order_relaxed);
}

static void slot_read(const struct chunk *chunk, size_t i, struct contents *contents) {
  contents->data = data_of(chunk)[i];
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    contents->callbacks[phase] = atomic_load_explicit(&callbacks_of(chunk, phase)[i], memory_order_relaxed);
  contents->sequence = sequence_of(chunk)[i];
  contents->retired = atomic_load_explicit(&retired_of(chunk)[i], memory_order_relaxed);
  contents->detail = detail_of(chunk)[i];
}

static size_t count_kept(const struct chunk *chunk) {
  size_t count = 0;
  for (; chunk != NULL; chunk = pointer(&chunk->next))
    for (size_t i = 0; i < used_of(chunk); i++) count += detail_of(chunk)[i] != NULL;
  return count;
}

/* Copies a hook into a table that nobody else sees yet. */
static bool copy_slot(struct table *to, unsigned bucket, size_t capacity, const struct chunk *chunk, size_t i) {
  struct contents contents;
  struct place place;
  slot_read(chunk, i, &contents);
  contents.detail = detail_keep(to, contents.detail);
  if (contents.detail == NULL || !find_place(to, bucket, capacity, &place)) return false;
  slot_write(place.chunk, place.index, &contents);
  atomic_store_explicit(place.changed, place.value, memory_order_relaxed);
  to->live++;
  return true;
}

static bool copy_bucket(struct table *to, const struct table *from, unsigned bucket) {
  const struct chunk *chunk = first_chunk(from, bucket);
  size_t capacity = count_kept(chunk);
  if (capacity < FIRST_CAPACITY) capacity = FIRST_CAPACITY;
  for (; chunk != NULL; chunk = pointer(&chunk->next))
    for (size_t i = 0; i < used_of(chunk); i++)
      if (detail_of(chunk)[i] != NULL && !copy_slot(to, bucket, capacity, chunk, i)) return false;
  return true;
}

static struct table *table_copy(const struct table *from) {
  struct table *to = table_new();
  if (to == NULL || from == NULL) return to;
  for (unsigned i = 0; i < FAN; i++) {
    if (pointer(&from->branch[i]) == NULL) continue;
    for (unsigned j = 0; j < FAN; j++) {
      if (copy_bucket(to, from, i * FAN + j)) continue;
      arena_free(&to->arena);
      return NULL;
    }
  }
  return to;
}

/*
 * Puts a copy in the place of the table in force, or the first table there.  Exchanged, as a signal handler
 * may have done the same meanwhile; then its table is as good.
 */
static bool renew_table(void) {
  struct table *old = current();
  struct table *new = table_copy(old);
  if (new == NULL) return false;
  struct table *expected = old;
  if (!atomic_compare_exchange_strong(&registry()->table, &expected, new)) {
    arena_free(&new->arena);
    return true;
  }
  /* Any walk that begins at this sequence or later finds the new one. */
  uint64_t sequence = atomic_fetch_add(&registry()->sequence, 1) + 1;
  if (old == NULL) return true;
  old->outgrown_at = sequence;
  struct table *older = atomic_load(&registry()->outgrown);
  do old->older = older;
  while (!atomic_compare_exchange_weak(&registry()->outgrown, &older, old));
  return true;
}

/*
 * Begins an update.  A signal handler inside its own thread's update must not touch what that one was about
 * to change: it works on a copy, which takes the place of the table.  The interrupted update then fails to
 * commit, and starts over.
 */
static bool update_begin(bool nested) {
  undo_uncommitted();
  return nested || current() == NULL ? renew_table() : true;
}

/* ---- Adding, retiring, burying ---- */

uint64_t registry_sequence(void) {
  return atomic_load(&registry()->sequence);
}

static bool try_add(const struct atfork_hook *hook, const struct detail *detail, atfork_id *id, bool *committed) {
  /* The sequence before the table: if a handler replaces that, the commit fails. */
  uint64_t sequence = registry_sequence() + 1;
  struct table *table = current();
  unsigned bucket = (unsigned)(hook->priority - ATFORK_PRIORITY_MIN);
  struct place place;
  struct contents contents = {
      .data = hook->data,
      .callbacks = {detail->refuses ? (callback)(any_callback)hook->try_prepare : hook->prepare, hook->parent,
                    hook->child},
      .sequence = sequence,
      .detail = detail_keep(table, detail),
  };
  if (sequence > sequence_max || contents.detail == NULL || !find_place(table, bucket, FIRST_CAPACITY, &place))
    return false;
  slot_write(place.chunk, place.index, &contents);
  *committed = commit(place.changed, place.value, sequence);
  if (*committed) table->live++;
  *id = id_of(bucket, sequence);
  return true;
}

atfork_id registry_add(const struct atfork_hook *hook, void *dso, uint64_t generation) {
  struct detail detail = {
      .name = hook->name == NULL ? "" : hook->name,
      .destroy = hook->destroy,
      .dso = dso,
      .generation = generation,
      .refuses = hook->try_prepare != NULL,
  };
  bool nested = lock_enter();
  atfork_id id = 0;
  bool done = false;
  bool possible = update_begin(nested);
  while (possible && !done) possible = try_add(hook, &detail, &id, &done);
  lock_leave(nested);
  return possible ? id : 0;
}

/* Retires one hook under the lock; its sequence, or 0 when there is none. */
static uint64_t retire(atfork_id id, bool deferred) {
  for (;;) {
    struct slot slot;
    uint64_t sequence = registry_sequence() + 1; /* before the table, as in try_add() */
    if (!find(current(), id, &slot)) return 0;
    word *retired = &retired_of(slot.chunk)[slot.index];
    if (atomic_load_explicit(retired, memory_order_relaxed) != 0) return 0;
    /* Before the commit: a walk that begins at this sequence must know that it has to look. */
    atomic_fetch_add(&registry()->retired, 1);
    if (commit(retired, sequence << 1 | deferred, sequence)) return sequence;
    atomic_fetch_sub(&registry()->retired, 1);
  }
}

uint64_t registry_retire(atfork_id id, bool deferred) {
  bool nested = lock_enter();
  struct slot slot;
  uint64_t sequence = 0;
  int error = ENOENT;
  undo_uncommitted();
  if (find(current(), id, &slot)) {
    if (update_begin(nested))
      sequence = retire(id, deferred);
    else
      error = ENOMEM;
  }
  lock_leave(nested);
  if (sequence == 0) errno = error;
  return sequence;
}

bool registry_has_retired(void) {
  return atomic_load(&registry()->retired) != 0;
}

static void clear_slot(struct slot slot) {
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    atomic_store_explicit(&callbacks_of(slot.chunk, phase)[slot.index], NULL, memory_order_relaxed);
  detail_of(slot.chunk)[slot.index] = NULL;
}

/*
 * Under the lock, of a retired hook.  A child that is forked in the middle sees it retired still, and buries it
 * itself.  Again, when a handler has copied the table meanwhile.
 */
static void bury(atfork_id id, struct slot slot, struct grave *grave) {
  struct table *table;
  *grave = (struct grave){id, detail_of(slot.chunk)[slot.index]->destroy, data_of(slot.chunk)[slot.index]};
  do {
    table = current();
    if (find(table, id, &slot)) clear_slot(slot);
    atomic_signal_fence(memory_order_seq_cst);
  } while (table != current());
  if (table->live > 0) table->live--;
  table->dead++;
  /* Release, with the load in walk_chunk(): who sees none retired sees the callbacks gone. */
  atomic_fetch_sub_explicit(&registry()->retired, 1, memory_order_release);
}

bool registry_bury(atfork_id id, struct grave *grave) {
  bool nested = lock_enter();
  struct slot slot;
  bool found = find(current(), id, &slot) && (!nested || renew_table()) && find(current(), id, &slot);
  if (found) bury(id, slot, grave);
  lock_leave(nested);
  return found;
}

/* Calls `wanted` with each hook from `from` on that is not buried, until it says yes; its id, or 0. */
static atfork_id search(atfork_id from, bool (*wanted)(struct slot slot, const void *argument), const void *argument,
                        struct slot *slot) {
  const struct table *table = current();
  for (unsigned bucket = bucket_of(from); table != NULL && bucket < FAN * FAN; bucket++) {
    uint64_t above = id_of(bucket, 0) < from ? (from & sequence_max) - 1 : 0;
    if (pointer(&table->branch[bucket / FAN]) == NULL) {
      bucket |= FAN - 1;
      continue;
    }
    for (const struct chunk *chunk = first_chunk(table, bucket); chunk != NULL; chunk = pointer(&chunk->next)) {
      for (size_t i = slot_after(chunk, above); i < used_of(chunk); i++) {
        *slot = (struct slot){chunk, i};
        if (detail_of(chunk)[i] != NULL && wanted(*slot, argument)) return id_of(bucket, sequence_of(chunk)[i]);
      }
    }
  }
  return 0;
}

static uint64_t retirement(struct slot slot) {
  return atomic_load_explicit(&retired_of(slot.chunk)[slot.index], memory_order_relaxed);
}

static bool is_owned(struct slot slot, const void *dso) {
  return detail_of(slot.chunk)[slot.index]->dso == dso && retirement(slot) == 0;
}

atfork_id registry_retire_owned(const void *dso, atfork_id from) {
  bool nested = lock_enter();
  struct slot slot;
  undo_uncommitted();
  atfork_id id = search(from, is_owned, dso, &slot);
  if (id != 0 && update_begin(nested)) retire(id, false);
  lock_leave(nested);
  return id;
}

static bool is_of(struct slot slot, const void *dso) {
  return detail_of(slot.chunk)[slot.index]->dso == dso;
}

atfork_id registry_find_owned(const void *dso, atfork_id from) {
  bool nested = lock_enter();
  struct slot slot;
  atfork_id id = search(from, is_of, dso, &slot);
  lock_leave(nested);
  return id;
}

static bool is_due(struct slot slot, const void *oldest) {
  uint64_t retired = retirement(slot);
  return (retired & 1) != 0 && retired >> 1 <= *(const uint64_t *)oldest;
}

bool registry_bury_due(atfork_id after, uint64_t oldest, struct grave *grave) {
  bool nested = lock_enter();
  struct slot slot;
  atfork_id id = 0;
  if (!nested) id = search(after + 1, is_due, &oldest, &slot);
  if (id != 0) bury(id, slot, grave);
  lock_leave(nested);
  return id != 0;
}

static bool is_retired(struct slot slot, const void *argument) {
  (void)argument;
  return retirement(slot) != 0;
}

void registry_adopt(void) {
  struct slot slot;
  uint64_t count;
  struct table *table;
  undo_uncommitted();
  if (!registry_has_retired()) return;
  do {
    table = current();
    count = 0;
    for (atfork_id id = 0; (id = search(id + 1, is_retired, NULL, &slot)) != 0; count++)
      atomic_fetch_or_explicit(&retired_of(slot.chunk)[slot.index], 1, memory_order_relaxed);
  } while (table != current());
  /* Counted anew, as another thread may have been about to change it. */
  atomic_store(&registry()->retired, count);
}

/* Nobody else takes from the list while this has the lock; handlers inside it only add. */
static void free_outgrown(uint64_t oldest) {
  struct table *kept = NULL;
  struct table *table = atomic_exchange(&registry()->outgrown, NULL);
  while (table != NULL) {
    struct table *older = table->older;
    if (table->outgrown_at <= oldest) {
      arena_free(&table->arena);
    } else {
      table->older = kept;
      kept = table;
    }
    table = older;
  }
  while (kept != NULL) {
    struct table *rest = kept->older;
    struct table *head = atomic_load(&registry()->outgrown);
    do kept->older = head;
    while (!atomic_compare_exchange_weak(&registry()->outgrown, &head, kept));
    kept = rest;
  }
}

void registry_collect(uint64_t oldest) {
  bool nested = lock_enter();
  if (!nested) {
    undo_uncommitted();
    const struct table *table = current();
    if (table != NULL && table->dead > table->live + PLENTY) renew_table();
    if (atomic_load(&registry()->outgrown) != NULL) free_outgrown(oldest);
  }
  lock_leave(nested);
}

/* ---- Walks ---- */

static void walk_start(struct walk *walk, uint64_t sequence, int bucket) {
  *walk = (struct walk){.table = current(), .sequence = sequence, .bucket = bucket};
}

void walk_begin(struct walk *walk, uint64_t sequence) {
  walk_start(walk, sequence, -1);
}

void walk_end(struct walk *walk, uint64_t sequence) {
  walk_start(walk, sequence, FAN * FAN);
}

/* Stands at a chunk, if there is one with hooks for this walk. */
static bool walk_chunk(struct walk *walk, const struct chunk *chunk) {
  walk->chunk = chunk;
  if (chunk == NULL) return false;
  walk->end = slot_after(chunk, walk->sequence);
  /* Acquire pairs with the decrement in bury(), and with the sequence that a retirement advanced. */
  walk->sparse = atomic_load_explicit(&registry()->retired, memory_order_acquire) != 0;
  walk->refuses = atomic_load_explicit(&chunk->refuses, memory_order_relaxed);
  return walk->end > 0;
}

bool walk_forward(struct walk *walk) {
  if (walk->table == NULL) return false;
  while (walk->chunk != NULL)
    if (walk_chunk(walk, pointer(&walk->chunk->next))) return true;
  while (++walk->bucket < FAN * FAN) {
    if (pointer(&walk->table->branch[walk->bucket / FAN]) == NULL)
      walk->bucket |= FAN - 1;
    else if (walk_chunk(walk, first_chunk(walk->table, (unsigned)walk->bucket)))
      return true;
  }
  return false;
}

bool walk_backward(struct walk *walk) {
  if (walk->table == NULL) return false;
  while (walk->chunk != NULL)
    if (walk_chunk(walk, walk->chunk->previous)) return true;
  while (--walk->bucket >= 0) {
    if (pointer(&walk->table->branch[walk->bucket / FAN]) == NULL) {
      walk->bucket -= walk->bucket % FAN;
      continue;
    }
    const struct chunk *chunk = first_chunk(walk->table, (unsigned)walk->bucket);
    if (chunk == NULL) continue;
    for (const struct chunk *next = chunk; next != NULL; next = pointer(&next->next)) chunk = next;
    if (walk_chunk(walk, chunk)) return true;
    while (walk->chunk != NULL)
      if (walk_chunk(walk, walk->chunk->previous)) return true;
  }
  return false;
}

const _Atomic(callback) *walk_callbacks(const struct walk *walk, enum phase phase) {
  return callbacks_of(walk->chunk, phase);
}

void *const *walk_data(const struct walk *walk) {
  return data_of(walk->chunk);
}

bool walk_takes_part(const struct walk *walk, size_t i) {
  uint64_t retired = atomic_load_explicit(&retired_of(walk->chunk)[i], memory_order_relaxed);
  return retired == 0 || retired >> 1 > walk->sequence;
}

bool walk_refuses(const struct walk *walk, size_t i) {
  return detail_of(walk->chunk)[i]->refuses;
}

bool walk_is_buried(const struct walk *walk, size_t i) {
  return detail_of(walk->chunk)[i] == NULL;
}

void walk_describe(const struct walk *walk, size_t i, struct atfork_info *info) {
  const struct detail *detail = detail_of(walk->chunk)[i];
  callback prepare = atomic_load_explicit(&walk_callbacks(walk, PREPARE)[i], memory_order_relaxed);
  *info = (struct atfork_info){
      .id = id_of((unsigned)walk->bucket, sequence_of(walk->chunk)[i]),
      .generation = detail->generation,
      .hook =
          {
              .name = detail->name,
              .priority = walk->bucket + ATFORK_PRIORITY_MIN,
              .prepare = detail->refuses ? NULL : prepare,
              .parent = atomic_load_explicit(&walk_callbacks(walk, PARENT)[i], memory_order_relaxed),
              .child = atomic_load_explicit(&walk_callbacks(walk, CHILD)[i], memory_order_relaxed),
              .try_prepare = detail->refuses ? (try_callback)(any_callback)prepare : NULL,
              .data = walk_data(walk)[i],
              .destroy = detail->destroy,
          },
  };
}

/* SPDX-License-Identifier: MIT */
#include "registry.h"

#include <assert.h>
#include <errno.h>

#include "frame.h"
#include "lock.h"
#include "sequence.h"

enum { PLENTY = 64 /* fewer dead hooks are not worth a new table */ };

static struct registry *registry(void) {
  return &atfork_state.registry;
}

/* ---- Commits ---- */

/*
 * An update writes to memory that no walk reads yet, except for one word that makes it visible.  It stores this word,
 * and then advances the sequence: that is the commit.  A walk that began before skips the change, as the sequence of
 * the change is above its own.
 *
 * A child may find the word stored, and the sequence not advanced.  The thread that would commit is lost, so the child
 * puts the old value back.
 */
static void undo_uncommitted(void) {
  struct intent *intent = &registry()->intent;
  word *changed = atomic_load_explicit(&intent->word, memory_order_acquire);
  if (changed == NULL) return;
  if (intent->sequence > sequence_now()) atomic_store(changed, intent->before);
  atomic_store_explicit(&intent->word, NULL, memory_order_release);
}

/* False if a signal handler has committed since `sequence` was planned: the caller plans anew. */
static bool commit(word *changed, uint64_t value, uint64_t sequence) {
  struct intent *intent = &registry()->intent;
  /* If a signal handler updates from here on, it replaces the table, and `changed` lies in one that is not in force. */
  if (sequence_now() != sequence - 1) return false;
  /* A nested commit puts back what the interrupted commit had written to `intent`. */
  uint64_t outer_before = intent->before;
  uint64_t outer_sequence = intent->sequence;
  intent->before = atomic_load_explicit(changed, memory_order_relaxed);
  intent->sequence = sequence;
  /* Release pairs with the acquire in undo_uncommitted(): a child that sees the word sees `before` and `sequence`. */
  atomic_store_explicit(&intent->word, changed, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(changed, value, memory_order_release);
  bool committed = sequence_commit(sequence);
  atomic_store_explicit(&intent->word, NULL, memory_order_release);
  atomic_signal_fence(memory_order_seq_cst);
  intent->before = outer_before;
  intent->sequence = outer_sequence;
  return committed;
}

static void keep_outgrown(struct table *table) {
  struct table *older = atomic_load(&registry()->outgrown);
  do table->older = older;
  while (!atomic_compare_exchange_weak(&registry()->outgrown, &older, table));
}

/* Replaces the table in force by a copy, or makes the first table.  An exchange, as a signal handler may have done the
 * same meanwhile; then its table will do. */
static bool renew_table(void) {
  struct table *old = registry_table();
  struct table *new = old == NULL ? atfork_table_new() : atfork_table_copy(old);
  if (new == NULL) return false;
  struct table *expected = old;
  if (!atomic_compare_exchange_strong(&registry()->table, &expected, new)) {
    atfork_table_free(new);
    return true;
  }
  /* Every walk that begins at this sequence or later finds the new table. */
  uint64_t sequence = sequence_advance();
  if (old == NULL) return true;
  old->outgrown_at = sequence;
  keep_outgrown(old);
  return true;
}

/*
 * For a signal handler inside an update of its own thread.  It must not change what the interrupted update is changing,
 * so it replaces the table by a copy, without the word that is not committed.  The interrupted update then fails to
 * commit, and starts again.  If there is no memory for the copy, nothing is changed, and the interrupted update goes
 * on.
 */
static bool renew_nested(void) {
  struct intent *intent = &registry()->intent;
  word *changed = atomic_load_explicit(&intent->word, memory_order_acquire);
  if (changed == NULL || intent->sequence <= sequence_now()) return renew_table();
  uint64_t stored = atomic_load(changed);
  atomic_store(changed, intent->before);
  bool renewed = renew_table();
  if (!renewed) atomic_store(changed, stored);
  return renewed;
}

static bool update_begin(bool nested) {
  if (nested) return renew_nested();
  return registry_table() == NULL ? renew_table() : true;
}

/* ---- Adding ---- */

static bool try_add(const struct atfork_hook *hook, const struct detail *detail, atfork_id *id, bool *committed) {
  /* Read the sequence before the table: if a signal handler replaces the table, the commit fails. */
  uint64_t sequence = sequence_now() + 1;
  struct table *table = registry_table();
  unsigned bucket = (unsigned)(hook->priority - ATFORK_PRIORITY_MIN);
  struct place place;
  struct contents contents = {
      .data = hook->data,
      .callbacks = {detail->refuses ? (callback)(any_callback)hook->try_prepare : hook->prepare, hook->parent,
                    hook->child},
      .sequence = sequence,
      .detail = atfork_table_keep_detail(table, detail),
  };
  if (sequence > sequence_max || contents.detail == NULL ||
      !atfork_table_find_place(table, bucket, FIRST_CAPACITY, &place))
    return false;
  atfork_slot_write(place.slot, &contents);
  *committed = commit(place.changed, place.value, sequence);
  if (*committed) table_count_live(table, 1);
  *id = id_of(bucket, sequence);
  return true;
}

atfork_id atfork_registry_add(const struct atfork_hook *hook, void *dso, uint64_t generation) {
  struct detail detail = {
      .name = hook->name == NULL ? "" : hook->name,
      .destroy = hook->destroy,
      .wait = hook->wait,
      .dso = dso,
      .generation = generation,
      .refuses = hook->try_prepare != NULL,
  };
  bool nested = atfork_lock_enter();
  atfork_id id = 0;
  bool done = false;
  bool possible = update_begin(nested);
  while (possible && !done) possible = try_add(hook, &detail, &id, &done);
  atfork_lock_leave(nested);
  return possible ? id : 0;
}

/* ---- Burying ---- */

/*
 * Buries a retired hook, under the lock.  A child that is forked in the middle finds the hook retired, and buries it
 * itself.  Repeats if a signal handler has copied the table meanwhile.
 */
static void bury(atfork_id id, struct slot slot, struct grave *grave) {
  callback destroy = slot_record(slot)->detail->destroy;
  /* Reads the data only if there is a destroy, as it lies on another page. */
  *grave = (struct grave){id, destroy, destroy == NULL ? NULL : *chunk_arrays(slot.chunk, slot.index).data};
  struct table *table;
  do {
    table = registry_table();
    if (table == slot.chunk->table || atfork_table_find(table, id, &slot)) atfork_slot_bury(slot);
    atomic_signal_fence(memory_order_seq_cst);
  } while (table != registry_table());
  if (table_live(table) > 0) table_count_live(table, -1);
  if (++table->dead > table_live(table) + PLENTY)
    atomic_store_explicit(&registry()->wasteful, true, memory_order_relaxed);
}

void atfork_registry_bury(atfork_id id, struct grave *grave) {
  struct slot slot;
  *grave = (struct grave){0};
  bool nested = atfork_lock_enter();
  bool is_there = atfork_table_find(registry_table(), id, &slot);
  /* If there is no memory for a copy, the one that this handler made when it retired the hook will do. */
  if (is_there && nested) renew_nested();
  if (is_there) bury(id, slot, grave);
  atfork_lock_leave(nested);
}

static bool is_due(struct slot slot, const void *argument) {
  uint64_t retired = slot_retirement(slot);
  (void)argument;
  return (retired & 1) != 0 && !atfork_frame_needs(slot_record(slot)->sequence, retired >> 1, false);
}

bool atfork_registry_bury_due(atfork_id after, struct frame *walk, struct grave *grave) {
  bool nested = atfork_lock_enter();
  struct slot slot = {NULL, 0};
  atfork_id id = 0;
  if (!nested) id = atfork_table_search(registry_table(), after + 1, is_due, NULL, &slot);
  /* Under the lock: a thread that unloads the object finds either the hook, or that this walk buries it. */
  if (id != 0) atomic_store(&walk->burying, slot_record(slot)->detail->dso);
  if (id != 0) bury(id, slot, grave);
  atfork_lock_leave(nested);
  return id != 0;
}

/* ---- Retiring ---- */

/* Retires a hook, under the lock.  Returns the sequence, or 0 if there is no such hook. */
static uint64_t retire(atfork_id id, bool deferred, struct slot *slot) {
  for (;;) {
    uint64_t sequence = sequence_now() + 1; /* before the table, as in try_add() */
    if (!atfork_table_find(registry_table(), id, slot) || slot_retirement(*slot) != 0) return 0;
    /* If the commit fails, a signal handler has replaced this table, and the count in the copy is right. */
    table_count_retired(slot->chunk->table, 1);
    if (commit(&slot_record(*slot)->retired, sequence << 1 | deferred, sequence)) return sequence;
  }
}

uint64_t atfork_registry_retire(atfork_id id, bool inside, struct grave *grave) {
  *grave = (struct grave){0};
  bool nested = atfork_lock_enter();
  struct slot slot;
  uint64_t sequence = 0;
  int error = ENOENT;
  if (nested && atfork_table_find(registry_table(), id, &slot) && !renew_nested())
    error = ENOMEM;
  else
    sequence = retire(id, inside, &slot);
  if (sequence != 0 && !atfork_frame_needs(id_sequence(id), sequence, !inside)) bury(id, slot, grave);
  atfork_lock_leave(nested);
  if (sequence == 0) errno = error;
  return sequence;
}

static bool is_owned(struct slot slot, const void *dso) {
  return slot_record(slot)->detail->dso == dso;
}

atfork_id atfork_registry_next_owned(const void *dso, atfork_id from, bool to_retire) {
  bool nested = atfork_lock_enter();
  struct slot slot;
  atfork_id id = atfork_table_search(registry_table(), from, is_owned, dso, &slot);
  if (id != 0 && to_retire && update_begin(nested)) retire(id, false, &slot);
  atfork_lock_leave(nested);
  return id;
}

static void silence_in(const struct table *table, atfork_id id) {
  struct slot slot;
  if (atfork_table_find(table, id, &slot)) atfork_slot_silence(slot);
}

void atfork_registry_silence(atfork_id id) {
  bool nested = atfork_lock_enter();
  silence_in(registry_table(), id);
  for (struct table *table = atomic_load(&registry()->outgrown); table != NULL; table = table->older)
    silence_in(table, id);
  atfork_lock_leave(nested);
}

static bool is_retired(struct slot slot, const void *argument) {
  (void)argument;
  return slot_retirement(slot) != 0;
}

bool atfork_registry_is_retired(atfork_id id) {
  struct slot slot;
  return !atfork_table_find(registry_table(), id, &slot) || is_retired(slot, NULL);
}

void atfork_registry_adopt(void) {
  struct slot slot;
  uint64_t count;
  struct table *table;
  undo_uncommitted();
  if (!registry_has_retired()) return;
  do {
    table = registry_table();
    count = 0;
    for (atfork_id id = 0; (id = atfork_table_search(table, id + 1, is_retired, NULL, &slot)) != 0; count++)
      atomic_fetch_or_explicit(&slot_record(slot)->retired, 1, memory_order_relaxed);
    /* A lost thread may have been about to change the count. */
    atomic_store_explicit(&table->retired, count, memory_order_release);
  } while (table != registry_table());
}

/* ---- Collecting ---- */

/* Under the lock.  Signal handlers only add to the list. */
static void free_outgrown(uint64_t oldest) {
  struct table *table = atomic_exchange(&registry()->outgrown, NULL);
  while (table != NULL) {
    struct table *older = table->older;
    if (table->outgrown_at <= oldest)
      atfork_table_free(table);
    else
      keep_outgrown(table);
    table = older;
  }
}

static bool has_waste(void) {
  return atomic_load_explicit(&registry()->wasteful, memory_order_relaxed) ||
         atomic_load_explicit(&registry()->outgrown, memory_order_relaxed) != NULL;
}

void atfork_registry_collect(void) {
  if (!has_waste()) return;
  bool nested = atfork_lock_enter();
  if (!nested) {
    if (atomic_exchange(&registry()->wasteful, false)) renew_table();
    free_outgrown(atfork_frame_oldest());
  }
  atfork_lock_leave(nested);
}

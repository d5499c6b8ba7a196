/* SPDX-License-Identifier: MIT */
/*
 * Promise 10 at the limits of numbers: what cannot be counted is refused, and corrupts nothing.  No program gets there
 * by honest work, so the tests set the library's own state close to the limit.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h" /* the library's own, as are those that follow */
#include "callbacks.h"
#include "registry.h"
#include "state.h"
#include "table.h"

#include "forks.h"

/* An id is never given again, so when there are no more, none is given at all; what there is can be taken back. */
static void use_up_sequences(void) {
  child_check_int(atfork_register_after_fork(nothing, NULL), !=, 0);
  atfork_state.sequence = sequence_max - 1;
  atfork_id last = atfork_register_after_fork(nothing, NULL);
  child_check_int(last & sequence_max, ==, sequence_max);
  for (int i = 0; i < 2; i++) {
    errno = 0;
    child_check_int(atfork_register_after_fork(nothing, NULL), ==, 0);
    child_check_int(errno, ==, ENOMEM);
  }
  child_check_int(atfork_unregister(last), ==, 0);
  child_check_int(atfork_unregister(last), ==, -1);
  child_check_int(atfork_register_after_fork(nothing, NULL), ==, 0);
  in_child(fork, child_passes);
}

static void test_sequences(void) {
  in_child(fork, use_up_sequences);
}

static void test_memory(void) {
  struct arena arena = {NULL};
  g_assert_true(atfork_arena_take(&arena, SIZE_MAX) == NULL);
  g_assert_true(atfork_arena_take(&arena, SIZE_MAX - 64) == NULL);
  g_assert_true(atfork_arena_take(&arena, 100) != NULL);
  g_assert_true(atfork_arena_take(&arena, SIZE_MAX / 4 + 1) == NULL);
  atfork_arena_free(&arena);
}

/* The first memory of an arena is kept for the next one, and given back when there is some already. */
static void test_first_memory(void) {
  for (int round = 0; round < 3; round++) {
    struct arena arenas[2] = {{NULL}, {NULL}};
    for (int i = 0; i < 2; i++) {
      char *memory = atfork_arena_take(&arenas[i], 1000);
      for (int j = 0; j < 1000; j++) g_assert_cmpint(memory[j], ==, 0);
      memset(memory, 'x', 1000);
    }
    for (int i = 0; i < 2; i++) {
      const struct slab *first = arenas[i].slab;
      atfork_arena_free(&arenas[i]);
      g_assert_true(atfork_state.arenas.spare == first);
    }
  }
}

/* A chunk is twice the one before, but its size must be a number. */
static void test_chunks(void) {
  struct table *table = atfork_table_new();
  struct place place;
  g_assert_true(atfork_table_find_place(table, 7, FIRST_CAPACITY, &place));
  *place.changed = place.value;
  struct chunk *chunk = place.slot.chunk;
  for (size_t capacity = SIZE_MAX / 2; capacity > SIZE_MAX / 256; capacity /= 2) {
    chunk->capacity = capacity;
    chunk->used = capacity;
    g_assert_false(atfork_table_find_place(table, 7, FIRST_CAPACITY, &place));
  }
  atfork_table_free(table);
}

/* A walk may stand at a chunk that comes out of sight again, as its hook is not committed: nothing follows. */
static void test_chunk_out_of_sight(void) {
  struct table *table = atfork_table_new();
  for (int before = 0; before < 2; before++) {
    struct place place;
    g_assert_true(atfork_table_find_place(table, 7, FIRST_CAPACITY, &place));
    uint64_t without = *place.changed;
    *place.changed = place.value;
    g_assert_true(atfork_table_next_chunk(table, 7, place.slot.chunk) == NULL);
    *place.changed = without;
    g_assert_true(atfork_table_next_chunk(table, 7, place.slot.chunk) == NULL);
    *place.changed = place.value;
    place.slot.chunk->used = FIRST_CAPACITY;
  }
  atfork_table_free(table);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/limits/sequences", test_sequences);
  g_test_add_func("/limits/memory", test_memory);
  g_test_add_func("/limits/first-memory", test_first_memory);
  g_test_add_func("/limits/chunks", test_chunks);
  g_test_add_func("/limits/chunk-out-of-sight", test_chunk_out_of_sight);
  return g_test_run();
}

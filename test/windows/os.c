/* SPDX-License-Identifier: MIT */
/* What the library asks of the system, from the inside. */
#include "os.h" /* the library's own */

#define WIN32_LEAN_AND_MEAN
#include <glib.h>
#include <windows.h>

static DWORD state_of(const void *memory) {
  MEMORY_BASIC_INFORMATION info;
  g_assert_cmpuint(VirtualQuery(memory, &info, sizeof info), !=, 0);
  return info.State;
}

static void test_memory(void) {
  const size_t size = atfork_os_map_size(100000);
  g_assert_cmpuint(size, >=, 100000);
  g_assert_cmpuint(size % atfork_os_page_size(), ==, 0);
  char *memory = atfork_os_map(size);
  g_assert_true(memory != NULL);
  for (size_t i = 0; i < size; i++) g_assert_cmpint(memory[i], ==, 0);
  memset(memory, 1, size);
  atfork_os_unmap(memory, size);
  g_assert_cmpuint(state_of(memory), ==, MEM_FREE);
  g_assert_true(atfork_os_map(SIZE_MAX / 2) == NULL);
}

/* In one piece: nothing that is reserved is left over. */
static void test_map_size(void) {
  for (size_t size = 1; size < 300000; size += 9999) {
    MEMORY_BASIC_INFORMATION info;
    char *memory = atfork_os_map(atfork_os_map_size(size));
    char *next = memory + atfork_os_map_size(size);
    g_assert_cmpuint(VirtualQuery(memory, &info, sizeof info), !=, 0);
    g_assert_true((char *)info.BaseAddress + info.RegionSize == next);
    g_assert_cmpuint((uintptr_t)next % 65536, ==, 0);
    atfork_os_unmap(memory, atfork_os_map_size(size));
  }
}

/* How long a call takes that nothing hinders. */
static gint64 least_of(void (*call)(void), int calls) {
  gint64 least = INT64_MAX;
  for (int i = 0; i < calls; i++) {
    gint64 start = g_get_monotonic_time();
    call();
    gint64 took = g_get_monotonic_time() - start;
    if (took < least) least = took;
  }
  return least;
}

static _Atomic uint32_t word = 1;

static void sleep_to_the_end(void) {
  atfork_os_wait(&word, 1);
}
static void find_another_value(void) {
  atfork_os_wait(&word, 0);
}

/* What a thread takes that nobody wakes: compared with that, a machine may be as slow as it likes. */
static gint64 sleep_time(void) {
  return least_of(sleep_to_the_end, 10);
}

/* At once, when it is another by then; and never for ever. */
static void test_wait_ends(void) {
  g_assert_cmpint(least_of(find_another_value, 1000), <, sleep_time() / 4);
}

enum { ROUNDS = 10 };

static _Atomic uint32_t turn;

static gpointer take_turns(gpointer parity) {
  for (uint32_t i = (uint32_t)(uintptr_t)parity; i < 2 * ROUNDS; i += 2) {
    for (uint32_t seen; (seen = atomic_load(&turn)) != i;) atfork_os_wait(&turn, seen);
    atomic_store(&turn, i + 1);
    atfork_os_wake_all(&turn);
  }
  return NULL;
}

/* Two threads that wait for each other. */
static void hand_over(void) {
  atomic_store(&turn, 0);
  GThread *even = g_thread_new("even", take_turns, NULL);
  GThread *odd = g_thread_new("odd", take_turns, (gpointer)1);
  g_thread_join(even);
  g_thread_join(odd);
}

/* If nobody were woken, a turn would take half a sleep; here the least is below 1/100 of one. */
static void test_wake(void) {
  g_assert_cmpint(least_of(hand_over, 20) / (2 * ROUNDS), <, sleep_time() / 16);
}

static void test_environment(void) {
  static char large[4096];
  SetEnvironmentVariableA("ATFORK_TEST", "value");
  g_assert_cmpstr(atfork_os_environment("ATFORK_TEST"), ==, "value");
  memset(large, 'x', sizeof large - 1);
  SetEnvironmentVariableA("ATFORK_TEST", large);
  g_assert_true(atfork_os_environment("ATFORK_TEST") == NULL);
  atfork_os_forget("ATFORK_TEST");
  g_assert_cmpuint(GetEnvironmentVariableA("ATFORK_TEST", large, sizeof large), ==, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/os/memory", test_memory);
  g_test_add_func("/os/map-size", test_map_size);
  g_test_add_func("/os/wait-ends", test_wait_ends);
  g_test_add_func("/os/wake", test_wake);
  g_test_add_func("/os/environment", test_environment);
  return g_test_run();
}

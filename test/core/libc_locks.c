/* SPDX-License-Identifier: MIT */
/*
 * Promise 9: the library adds no deadlock to those that the C library has.  Threads are inside malloc() and stdio while
 * others fork; callbacks and children use these, too.  Not setenv(), nor popen(), of which glibc leaves a child the
 * locks that other threads of its parent had.
 */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"

static bool stop;

static bool is_over(void) {
  return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* ---- What the C library has locks for ---- */

static FILE *null;

static void allocate(void) {
  enum { BLOCKS = 8 };
  void *blocks[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) blocks[i] = malloc((size_t)1 << (2 * i + 3));
  for (size_t i = 0; i < BLOCKS; i++) free(blocks[i]);
}

static void write_and_read(void) {
  fprintf(null, "%d\n", (int)getpid());
  char *line = NULL;
  size_t size = 0;
  FILE *file = fopen("/proc/self/stat", "r");
  if (file == NULL || getline(&line, &size, file) <= 0) abort();
  fclose(file);
  free(line);
}

/* glibc 2.43 gives back what was read ahead: it moves the file's offset, which a child shares with its parent.  If both
 * do so, the second one moves it below 0. */
static void flush_all(void) {
  if (fflush(NULL) != 0 && errno != EINVAL) abort();
}

static void register_hook(void) {
  atfork_id id = atfork_register(&(struct atfork_hook){.parent = free});
  if (id == 0 || atfork_unregister(id) != 0) abort();
}

static void open_pipe(void) {
  FILE *pipe = popen(":", "r");
  if (pipe == NULL || pclose(pipe) == -1) abort();
}

static void (*const uses[])(void) = {allocate, write_and_read, flush_all, register_hook};

static void use_all(void) {
  for (size_t i = 0; i < G_N_ELEMENTS(uses); i++) uses[i]();
}

static void use_in_callback(void *unused) {
  (void)unused;
  use_all();
}

/* ---- Threads that are in the middle of it ---- */

static void *keep_using(void *use) {
  while (!is_over()) (*(void (*const *)(void))use)();
  return NULL;
}

/* No thread of the parent is in popen(). */
static void use_in_child(void) {
  use_all();
  open_pipe();
}

static void *keep_forking(void *unused) {
  while (!is_over()) in_child(fork, use_in_child);
  return unused;
}

enum { FORKERS = 2, USERS = G_N_ELEMENTS(uses) };

static void fork_meanwhile(int forks) {
  pthread_t users[USERS], forkers[FORKERS];
  stop = false;
  for (size_t i = 0; i < USERS; i++) pthread_create(&users[i], NULL, keep_using, (void *)(uintptr_t)&uses[i]);
  for (int i = 0; i < FORKERS; i++) pthread_create(&forkers[i], NULL, keep_forking, NULL);
  for (int i = 0; i < forks; i++) in_child(fork, use_in_child);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (size_t i = 0; i < USERS; i++) pthread_join(users[i], NULL);
  for (int i = 0; i < FORKERS; i++) pthread_join(forkers[i], NULL);
}

static void test_in_children(void) {
  fork_meanwhile(1 + rounds(20));
}

static void test_in_callbacks(void) {
  atfork_register(
      &(struct atfork_hook){.prepare = use_in_callback, .parent = use_in_callback, .child = use_in_callback});
  fork_meanwhile(1 + rounds(20));
  unregister_all();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  null = fopen("/dev/null", "w");
  g_assert_nonnull(null);
  add_race("/libc-locks/in-children", test_in_children);
  add_race("/libc-locks/in-callbacks", test_in_callbacks);
  return g_test_run();
}

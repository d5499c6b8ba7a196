/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <errno.h>
#include <string.h>

#include "state.h" /* the library's own, to put it back */
#include "target.h"
#include "thread.h"
#include "transient.h"

uint64_t place_run;
static int calls;
static struct state state;
static struct transient transients;
static struct thread thread;

static void on_child(void *unused) {
  (void)unused;
  calls++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  expect(atfork_register_after_fork(on_child, NULL) != 0);
  expect(atfork_place() == ATFORK_ROOT && atfork_poll() == 0);
  memcpy(&state, &atfork_state, sizeof state);
  memcpy(&transients, transient(), sizeof transients);
  thread = atfork_thread;
  place_run = atfork_run();
  return 0;
}

void place_restore(void) {
  memcpy(&atfork_state, &state, sizeof state);
  memcpy(transient(), &transients, sizeof transients);
  atfork_thread = thread;
  calls = 0;
}

void place_expect_root(void) {
  expect(calls == 0 && atfork_generation() == 0 && atfork_place() == ATFORK_ROOT);
  expect(memcmp(&atfork_state, &state, sizeof state) == 0);
  expect(memcmp(transient(), &transients, sizeof transients) == 0);
}

void place_expect(enum atfork_place place, uint64_t generation, const char *lineage, uint64_t run) {
  char text[1024];
  expect(calls == 1);
  expect(atfork_place() == place && atfork_generation() == generation && atfork_run() == run);
  expect(atfork_lineage(text, sizeof text) == (int)strlen(lineage) && strcmp(text, lineage) == 0);
  expect(atfork_poll() == 0 && calls == 1);
}

void place_expect_settled(void) {
  errno = 0;
  expect(atfork_spawned("garbage") == -1 && errno == EALREADY);
  errno = 0;
  expect(atfork_adopt("3") == -1 && errno == EALREADY);
  errno = 0;
  expect(atfork_adopt(NULL) == -1 && errno == EALREADY);
  expect(calls == 1);
}

/* SPDX-License-Identifier: MIT */
/*
 * Promises 2, 3, 8 and 9 as a table: each subject is interrupted before each of its instructions in the library, by
 * each handler, in a process of its own.  Each process that results keeps accounts of what it saw.  The rules of these
 * accounts know nothing of how the library works.
 *
 * Where a subject is long, or a handler does much, one instruction of several: of ATFORK_STRIDE, which may be 1.
 * ATFORK_PLACE=n goes to the n-th alone.
 */
#include <atfork.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forks.h"
#include "matrix.h"
#include "places.h"
#include "steps.h"

const struct cell *cell;
struct places *places;
size_t place;
bool tracing;
bool *has_acted;

void say(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  uintptr_t at = tracing ? 0 : places_offset(places->at[place]);
  dprintf(STDERR_FILENO, "# %s, %s: at instruction %zu (%#lx): process %d of %d: %.*s\n", cell->subject->name,
          tracing ? "traced" : cell->handler->name, place, (unsigned long)at, (int)getpid(), (int)getppid(), length,
          text);
}

static void on_alarm(int signal) {
  (void)signal;
  say("hangs");
  _exit(1);
}

/* ---- Runs ---- */

/* In a process of its own; whether all was well. */
static bool run(void) {
  int status;
  family->count = 0;
  family->is_blurred = false;
  family->run = ++me.run;
  pid_t pid = make(false);
  if (pid == 0) {
    note_self();
    cell->subject->run();
  }
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  if (WIFSIGNALED(status)) say("ends by signal %d", WTERMSIG(status));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_PASSED) return false;
  return family->is_blurred || check_family(pid);
}

static void trace(void) {
  places->count = 0;
  entries->count = 0;
  tracing = true;
  bool is_good = run();
  tracing = false;
  g_assert_true(is_good);
  g_assert_cmpuint(places->count, >, 20);
}

/* How often a loop is gone round depends on the number of a process. */
static bool is_first(size_t which) {
  for (size_t i = 0; i < which; i++)
    if (places->at[i] == places->at[which]) return false;
  return true;
}

static bool find_place(uintptr_t at) {
  for (place = 0; place < places->count; place++)
    if (places->at[place] == at) return true;
  return false;
}

/*
 * The way of a process depends on its pid, and on the pids that the tree's list has.  So what one run does not come to
 * is traced and run again: it is missed if that happens each time.  One or two places of a run need this, and most of
 * these once.
 */
static bool is_missed(uintptr_t at, unsigned *failures) {
  enum { ATTEMPTS = 20 };
  bool missed = true;
  size_t from = place;
  for (int attempt = 0; missed && attempt < ATTEMPTS; attempt++) {
    trace();
    *has_acted = false;
    bool is_there = find_place(at);
    if (is_there) *failures += !run();
    missed = is_there && !*has_acted;
  }
  place = from;
  return missed;
}

/* From one instruction to the next.  What checks addresses is many more of them. */
static size_t stride(void) {
  bool is_thin = cell->subject->is_thin || cell->handler->is_thin;
  const char *wanted = g_getenv("ATFORK_STRIDE");
  if (wanted != NULL && is_thin) return (size_t)atoi(wanted);
  if (has_more_instructions()) return is_thin ? 499 : 61;
  return is_thin ? 13 : 1;
}

static void test_cell(gconstpointer data) {
  cell = data;
  static const struct subject *traced;
  if (traced != cell->subject) trace();
  traced = cell->subject;
  unsigned failures = 0, missed = 0, runs = 0;
  size_t step = stride();
  size_t first = (size_t)(cell->handler - handlers) % step;
  const char *only = g_getenv("ATFORK_PLACE");
  if (only != NULL) first = (size_t)atoi(only);
  for (place = first; place < places->count; place += step) {
    *has_acted = false;
    failures += !run();
    missed += !*has_acted && is_first(place) && is_missed(places->at[place], &failures);
    runs++;
    if (only != NULL) break;
  }
  g_test_message("%u of %zu instructions, %u not come to, %u failures", runs, places->count, missed, failures);
  if (failures > 0 || missed > 0) g_test_fail();
}

static void add_cell(const struct subject *subject, const struct handler *handler) {
  if (handler->only != NULL && strcmp(handler->only, subject->name) != 0) return;
  struct cell *own = malloc(sizeof *own);
  g_assert_nonnull(own);
  *own = (struct cell){subject, handler};
  char path[128];
  snprintf(path, sizeof path, "/matrix/%s/%s", subject->name, handler->name);
  g_test_add_data_func(path, own, test_cell);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  if (!places_in((const void *)(uintptr_t)&atfork_version)) {
    puts("1..0 # SKIP this system lets no code be written to");
    return 0;
  }
  if (pthread_atfork(NULL, NULL, on_child) != 0) return 1; /* before the library's */
  signal(SIGALRM, on_alarm);
  places = share(sizeof *places);
  entries = share(sizeof *entries);
  family = share(sizeof *family);
  has_acted = share(sizeof *has_acted);
  struct context outermost;
  me.pid = getpid();
  begin_context(&outermost, false);
  for (int i = 0; i < HOOKS; i++)
    if (i != OF_SUBJECT_NEW && i != OF_HANDLER_NEW) have(i);
  for (const struct subject *subject = subjects; subject < subjects + subjects_count; subject++) {
    for (const struct handler *handler = handlers; handler < handlers + handlers_count; handler++)
      add_cell(subject, handler);
  }
  return g_test_run();
}

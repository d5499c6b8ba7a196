/* SPDX-License-Identifier: MIT */
/*
 * A spawned worker.  Says who it is: RESULT GENERATION LINEAGE SEED HOOKS VARIABLE, where HOOKS are the letters of
 * those that ran, in order, and VARIABLE says whether ATFORK_TOKEN is still set.
 *
 * worker TOKEN | worker --environment
 */
#include <atfork.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
/* LeakSanitizer fails in a setuid program, as one of these is: nobody may look into it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "detect_leaks=0";
}
#endif

/* Before the library's own constructor, where it is part of the program. */
__attribute__((constructor(101))) static void look_early(void) {
  (void)atfork_generation();
}

static char ran[8];

static void run(void *letter) {
  strcat(ran, letter);
}

static void must_not_run(void *unused) {
  (void)unused;
  abort();
}

static const char *result_of(int returned) {
  return returned == 0 ? "ok" : errno == EINVAL ? "EINVAL" : errno == EALREADY ? "EALREADY" : "?";
}

static void say(const char *result) {
  char lineage[1024];
  atfork_lineage(lineage, sizeof lineage);
  printf("%s %" PRIu64 " %s %016" PRIx64 " %s %s\n", result, atfork_generation(), lineage, atfork_seed(42),
         ran[0] == '\0' ? "-" : ran, getenv("ATFORK_TOKEN") == NULL ? "unset" : "set");
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  const char *token = strcmp(argv[1], "--environment") == 0 ? NULL : argv[1];
  static char a[] = "a", b[] = "b", c[] = "c";
  atfork_register(&(struct atfork_hook){.child = run, .data = b});
  atfork_register(&(struct atfork_hook){.priority = 1, .child = run, .data = c});
  atfork_register(
      &(struct atfork_hook){.priority = -1, .prepare = must_not_run, .parent = must_not_run, .child = run, .data = a});
  say(result_of(atfork_spawned(token)));
  say(result_of(atfork_spawned(token)));
  return 0;
}

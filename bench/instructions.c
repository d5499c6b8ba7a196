/* SPDX-License-Identifier: MIT */
/*
 * Does one thing N times, for callgrind to count: instructions WHAT N.  instructions.py takes what 2 N cost
 * and N cost, and has what one costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooks.h"

enum { COUNT_MAX = 1 << 20 };

static volatile uint64_t plain;
static atfork_id ids[COUNT_MAX]; /* of one size, as clearing them would be counted too */

static void nothing(void) {
}

static void load(long count) {
  for (long i = 0; i < count; i++) (void)plain;
}

static void check(long count) {
  for (long i = 0; i < count; i++) (void)atfork_generation();
}

static void register_hooks(long count) {
  for (long i = 0; i < count; i++) ids[i] = register_ours(0);
}

static void unregister_hooks(long count) {
  register_hooks(count);
  for (long i = 0; i < count; i++) atfork_unregister(ids[i]);
}

static void register_handlers(long count) {
  for (long i = 0; i < count; i++) register_theirs();
}

static void register_child_hooks(long count) {
  for (long i = 0; i < count; i++) ids[i] = atfork_register(&(struct atfork_hook){.child = hook_nothing});
}

static void register_child_handlers(long count) {
  for (long i = 0; i < count; i++) pthread_atfork(NULL, NULL, nothing);
}

/* The child's instructions are those of the registrations, which it has by inheritance, and its own. */
static void run_child(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, NULL, 0);
}

static void child_hooks(long count) {
  register_child_hooks(count);
  run_child();
}

static void child_handlers(long count) {
  register_child_handlers(count);
  run_child();
}

static const struct {
  const char *name;
  void (*run)(long count);
} all[] = {
    {"load", load},
    {"check", check},
    {"register", register_hooks},
    {"unregister", unregister_hooks},
    {"child", child_hooks},
    {"register-child", register_child_hooks},
    {"register-pthread", register_handlers},
    {"child-pthread", child_handlers},
    {"register-child-pthread", register_child_handlers},
};

int main(int argc, char **argv) {
  long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
  for (size_t i = 0; count > 0 && count <= COUNT_MAX && i < sizeof all / sizeof all[0]; i++) {
    if (strcmp(argv[1], all[i].name) != 0) continue;
    all[i].run(count);
    _exit(0); /* exit() would unregister all hooks, and that be counted too */
  }
  fprintf(stderr, "usage: instructions WHAT N\n");
  return 2;
}

/* SPDX-License-Identifier: MIT */
/* What a process knows of itself while it runs a program; and what its operations share. */
#ifndef ATFORK_FUZZ_RUNNER_H
#define ATFORK_FUZZ_RUNNER_H

#include <stdbool.h>

#include "api.h"
#include "callbacks.h"

enum { NOTES = 1024, MANY = 16384 };

/* In plain memory: its children have copies. */
extern struct runner {
  const struct api *api;
  bool has_objects, is_loaded, had_handlers;
  bool has_come_back;     /* from a fork, into what its parent was doing */
  bool exits, is_exiting; /* this process is to end by exit(), and does */
  int at_exit_count;
  int budget; /* so many processes may descend from this one, roughly */
  int fuel;   /* so many operations may be run in scripts */
  int nesting;
  unsigned inside_init; /* bits: controls */
  unsigned kept;        /* bits: mutexes that the program itself has */
  int preparing;        /* callbacks of forks that may still take one */
  pid_t forker;         /* the process that began the innermost fork */
  struct note notes[NOTES];
  int notes_count;
  struct note *slots[SLOTS];
  atfork_id stale[SLOTS];
  atfork_id many[MANY];
  int many_count;
  unsigned ticks, ticks_said;
  int handlers[HANDLERS]; /* scripts */
  uint64_t ticks_digest;
} runner;

/* execute.c: the operations from `at` on, and those of a script, unless that is 0. */
void run_ops(int at, int end);
void run_script(int number);

/* callbacks.c: of many hooks at once only the order is noted. */
void on_tick(void *data);
void say_ticks(void);
void say_result(const char *what, int result);
const char *error_name(void);

/* What runs an operation is given its arguments. */

/* hooks.c */
void do_register(const int *arguments);
void do_unregister(const int *arguments);
void do_stale(const int *arguments);
void do_garbage(const int *arguments);
void do_many(const int *arguments);
void do_fewer(const int *arguments);
void do_foreach(const int *arguments);
void do_load(const int *unused);
void do_unload(const int *unused);
void do_handler(const int *arguments);
void do_mutex(const int *arguments);
void do_busy(const int *arguments);
void do_keep(const int *arguments);
void do_give(const int *unused);
void say_hooks(void);

/* identity.c */
void do_generation(const int *unused);
void do_lineage(const int *arguments);
void do_seed(const int *arguments);
void do_token(const int *arguments);
void do_once(const int *arguments);
void say_generation(void);
void say_lineage(void);
void say_place(void);

/* processes.c; the first returns where to go on. */
enum { DEEPEST = 9 };
int do_fork(int at);
void do_poll(const int *unused);
void do_nonfork(const int *arguments);
void spawn(char **words, char **environment);

/* workers.c */
void do_worker(const int *arguments);
void do_place_or_not(const int *arguments);
_Noreturn void be_worker(const char *plan, const char *token);

/* ends.c */
void do_exit(const int *unused);
void do_at_exit(const int *arguments);

/* What is called last, in a process that begins. */
void begin_to_end(void);

/* Called in each process before it ends; may be NULL. */
extern void (*before_the_end)(void);

/* Says how this process ends, and ends it. */
_Noreturn void finish(void);

#endif

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
  bool has_objects, is_loaded;
  int budget; /* so many processes may descend from this one, roughly */
  int fuel;   /* so many operations may be run in scripts */
  int nesting;
  unsigned inside_init; /* bits: controls */
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

/* hooks.c */
void do_register(const int *arguments);
void do_unregister(int slot);
void do_garbage(int which);
void do_many(int count, int keep, int priority);
void do_fewer(int keep);
void do_foreach(int script, int at, int stop);
void do_load(void);
void do_unload(void);

/* identity.c */
void say_lineage(void);
void do_lineage(int size);
void do_seed(int base);
void do_place(void);
void do_token(int size);
void do_once(int control, int script);

/* processes.c; the first returns where to go on. */
int do_fork(int at, enum way way, bool back);
void do_nonfork(int spawns);
void do_worker(int how, int script);
void do_place_or_not(int how);
void take_place(int how, const char *token);

/* Says how this process ends, and ends it. */
_Noreturn void finish(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A program: a list of operations, drawn from a seed, and written as text that can be read back.
 *
 * It has sections: the main one, then scripts, which callbacks run.  `fork` begins a block for the child, `end` ends
 * it.  Every list of operations is a program, so each may be left out to make a shorter one.
 */
#ifndef ATFORK_FUZZ_OPS_H
#define ATFORK_FUZZ_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum kind {
  OP_REGISTER,
  OP_UNREGISTER,
  OP_STALE,
  OP_GARBAGE,
  OP_FOREACH,
  OP_FORK,
  OP_END,
  OP_POLL,
  OP_GENERATION,
  OP_LINEAGE,
  OP_SEED,
  OP_ONCE,
  OP_TOKEN,
  OP_NONFORK,
  OP_WORKER,
  OP_PLACE,
  OP_LOAD,
  OP_UNLOAD,
  OP_MANY,
  OP_FEWER,
  OP_HANDLER,
  OP_MUTEX,
  OP_BUSY,
  OP_KEEP,
  OP_GIVE,
  OP_EXIT,
  OP_AT_EXIT,
  OP_SCRIPT,
  KINDS
};

enum { ARGUMENTS = 6, OPS_MAX = 256, SLOTS = 12, SMALL = 12, SCRIPTS = 5, CONTROLS = 4 };

/* Kinds of mutexes, one of each. */
enum { NORMAL, ERROR_CHECKING, RECURSIVE, MUTEXES, NO_MUTEX = MUTEXES };

/* How a worker takes its place. */
enum { BY_TOKEN, BY_RANK, BY_CHILD_TOKEN, BY_GARBAGE, BY_ENVIRONMENT, BY_LAUNCHER, MANNERS };

enum { ENVIRONMENTS = 10 };

/* How many of many hooks stay: none, every second, every third, …; all. */
enum { KEEP_NONE, KEEP_ALL = 5 };

/* What a hook has: bits of the first argument of `register`. */
enum { HAS_PREPARE = 1, HAS_PARENT = 2, HAS_CHILD = 4, HAS_TRY = 8, HAS_WAIT = 16, HAS_DESTROY = 32, HAS_ALL = 63 };

/* Whose code a hook is. */
enum owner { OF_PROGRAM, OF_COPY, OF_PLUGIN, OF_NOBODY, OWNERS };

/* Fork handlers of other libraries, which the C library was given before ours, or after. */
enum handler { EARLY_PREPARE, EARLY_PARENT, EARLY_CHILD, LATE_PREPARE, LATE_PARENT, LATE_CHILD, HANDLERS };

enum way { BY_FORK, BY_FAILING, BY__FORK, BY_SYSCALL, BY_CLONE, BY_CLONE3, WAYS };

struct op {
  enum kind kind;
  int arguments[ARGUMENTS];
};

struct program {
  int count;
  struct op ops[OPS_MAX];
};

/* SplitMix64. */
uint64_t draw(uint64_t *state);
int draw_below(uint64_t *state, int limit);

void op_draw(struct op *op, uint64_t *state);
void op_redraw(struct op *op, int argument, uint64_t *state);
void program_draw(struct program *program, uint64_t seed);
void program_write(const struct program *program, FILE *file);
bool program_read(struct program *program, FILE *file);

/* Where the operations of script `number` begin, from 1 on; 0: the main section.  Where those from `at` on end. */
int program_section(const struct program *program, int number);
int program_section_end(const struct program *program, int at);

/* Where the block of the fork at `at` ends. */
int program_block_end(const struct program *program, int at);

#endif

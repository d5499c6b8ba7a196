/* SPDX-License-Identifier: MIT */
/* Runs operations. */
#include <unistd.h>

#include "log.h"
#include "runner.h"

enum { NESTED = 3 };

struct runner runner;

static void do_nothing(const int *unused) {
  (void)unused;
}

/* All but the fork, which has a block of its own. */
static void (*const actions[KINDS])(const int *arguments) = {
    [OP_REGISTER] = do_register,  [OP_UNREGISTER] = do_unregister,
    [OP_STALE] = do_stale,        [OP_GARBAGE] = do_garbage,
    [OP_FOREACH] = do_foreach,    [OP_END] = do_nothing,
    [OP_POLL] = do_poll,          [OP_GENERATION] = do_generation,
    [OP_LINEAGE] = do_lineage,    [OP_SEED] = do_seed,
    [OP_ONCE] = do_once,          [OP_TOKEN] = do_token,
    [OP_NONFORK] = do_nonfork,    [OP_WORKER] = do_worker,
    [OP_PLACE] = do_place_or_not, [OP_LOAD] = do_load,
    [OP_UNLOAD] = do_unload,      [OP_MANY] = do_many,
    [OP_FEWER] = do_fewer,        [OP_HANDLER] = do_handler,
    [OP_MUTEX] = do_mutex,        [OP_BUSY] = do_busy,
    [OP_KEEP] = do_keep,          [OP_GIVE] = do_give,
    [OP_EXIT] = do_exit,          [OP_AT_EXIT] = do_at_exit,
    [OP_SCRIPT] = do_nothing,
};

/* Returns where to go on. */
static int run_op(int at) {
  const struct op *op = &shared->program.ops[at];
  atomic_fetch_add(&shared->operations, 1);
  if (op->kind == OP_FORK) return do_fork(at);
  actions[op->kind](op->arguments);
  return at;
}

void run_ops(int at, int end) {
  for (; at < end; at++) {
    if (shared->is_too_large) _exit(0);
    if (runner.nesting > 0 && runner.fuel-- <= 0) return;
    at = run_op(at);
  }
}

void run_script(int number) {
  if (number == 0 || runner.nesting >= NESTED || runner.fuel <= 0) return;
  int at = program_section(&shared->program, number);
  runner.nesting++;
  run_ops(at, program_section_end(&shared->program, at));
  runner.nesting--;
}

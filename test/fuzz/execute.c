/* SPDX-License-Identifier: MIT */
/* Runs operations. */
#include <unistd.h>

#include "log.h"
#include "runner.h"

enum { NESTED = 3 };

struct runner runner;

/* Returns where to go on. */
static int run_op(int at) {
  const struct op *op = &shared->program.ops[at];
  const int *arguments = op->arguments;
  atomic_fetch_add(&shared->operations, 1);
  switch (op->kind) {
    case OP_REGISTER:
      do_register(arguments);
      break;
    case OP_UNREGISTER:
      do_unregister(arguments[0]);
      break;
    case OP_STALE:
      say_result("unregister stale", runner.api->unregister(runner.stale[arguments[0]]));
      break;
    case OP_GARBAGE:
      do_garbage(arguments[0]);
      break;
    case OP_FOREACH:
      do_foreach(arguments[0], arguments[1], arguments[2]);
      break;
    case OP_FORK:
      return do_fork(at, (enum way)arguments[0], arguments[1] != 0);
    case OP_POLL:
      say("poll: %d", runner.api->poll());
      say_ticks();
      break;
    case OP_GENERATION:
      say("generation %llu", (unsigned long long)runner.api->generation());
      break;
    case OP_LINEAGE:
      do_lineage(arguments[0]);
      break;
    case OP_SEED:
      do_seed(arguments[0]);
      break;
    case OP_ONCE:
      do_once(arguments[0], arguments[1]);
      break;
    case OP_TOKEN:
      do_token(arguments[0]);
      break;
    case OP_NONFORK:
      do_nonfork(arguments[0]);
      break;
    case OP_WORKER:
      do_worker(arguments[0], arguments[1]);
      break;
    case OP_PLACE:
      do_place_or_not(arguments[0]);
      break;
    case OP_LOAD:
      do_load();
      break;
    case OP_UNLOAD:
      do_unload();
      break;
    case OP_MANY:
      do_many(arguments[0], arguments[1], arguments[2]);
      break;
    case OP_HANDLER:
      if (runner.has_objects) runner.handlers[arguments[0]] = arguments[1];
      break;
    case OP_FEWER:
      do_fewer(arguments[0]);
      break;
    default:
      break;
  }
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

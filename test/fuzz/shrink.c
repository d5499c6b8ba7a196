/* SPDX-License-Identifier: MIT */
#include "shrink.h"

#include <string.h>

static struct program without(const struct program *program, int at, int count) {
  struct program shorter = *program;
  memmove(&shorter.ops[at], &shorter.ops[at + count], sizeof *shorter.ops * (size_t)(program->count - at - count));
  shorter.count -= count;
  return shorter;
}

/* Leaves out so many operations at a time, wherever that can be done. */
static bool leave_out(struct program *program, int count, bool (*differs)(const struct program *program)) {
  bool is_shorter = false;
  for (int at = program->count - count; at >= 0; at -= count) {
    if (at + count > program->count) continue;
    struct program shorter = without(program, at, count);
    if (!differs(&shorter)) continue;
    *program = shorter;
    is_shorter = true;
  }
  return is_shorter;
}

/* Makes one argument 0, or half of what it is. */
static bool make_simpler(struct program *program, int at, int argument, bool (*differs)(const struct program *)) {
  struct program simpler = *program;
  int *value = &simpler.ops[at].arguments[argument];
  if (*value == 0) return false;
  *value = 0;
  if (!differs(&simpler)) {
    *value = program->ops[at].arguments[argument] / 2;
    if (*value == 0 || !differs(&simpler)) return false;
  }
  *program = simpler;
  return true;
}

static bool simplify(struct program *program, bool (*differs)(const struct program *program)) {
  bool is_simpler = false;
  for (int at = 0; at < program->count; at++) {
    if (program->ops[at].kind == OP_SCRIPT) continue;
    for (int i = 0; i < ARGUMENTS; i++)
      while (make_simpler(program, at, i, differs)) is_simpler = true;
  }
  return is_simpler;
}

void shrink(struct program *program, bool (*differs)(const struct program *program)) {
  for (int count = program->count / 2; count >= 1; count /= 2) leave_out(program, count, differs);
  while (leave_out(program, 1, differs) || leave_out(program, 2, differs) || simplify(program, differs)) continue;
}

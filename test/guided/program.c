/* SPDX-License-Identifier: MIT */
/*
 * Programs of test/fuzz, as text, run against the library and against the model of it; mutated by operations.
 *
 * An input that shows a difference is what `fuzz --program FILE` takes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "ops.h"
#include "run.h"
#include "runner.h"
#include "seen.h"
#include "target.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t size, const uint8_t *other, size_t other_size, uint8_t *to,
                                 size_t most, unsigned seed);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  before_the_end = seen_add;
  run_prepare(*argc, *argv);
  return 0;
}

static bool read_program(struct program *program, const uint8_t *data, size_t size) {
  program->count = 0;
  FILE *file = size == 0 ? NULL : fmemopen((void *)(uintptr_t)data, size, "r");
  if (file == NULL) return false;
  bool is_program = program_read(program, file);
  fclose(file);
  return is_program;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!read_program(&shared->program, data, size)) return 0;
  seen_begin();
  enum verdict verdict = run_both(true);
  seen_take();
  fflush(stdout);
  expect(verdict != DIFFERENT);
  return 0;
}

/* ---- Mutations ---- */

/* As text that fits: without the last operations, if need be. */
static size_t write_program(struct program *program, uint8_t *data, size_t most) {
  for (;; program->count--) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    expect(file != NULL);
    program_write(program, file);
    fclose(file);
    if (size <= most) memcpy(data, text, size);
    free(text);
    if (size <= most) return size;
  }
}

static void insert(struct program *program, int at, const struct op *ops, int count) {
  if (count > OPS_MAX - program->count) count = OPS_MAX - program->count;
  memmove(&program->ops[at + count], &program->ops[at], sizeof *ops * (size_t)(program->count - at));
  memcpy(&program->ops[at], ops, sizeof *ops * (size_t)count);
  program->count += count;
}

static void leave_out(struct program *program, int at, int count) {
  program->count -= count;
  memmove(&program->ops[at], &program->ops[at + count], sizeof *program->ops * (size_t)(program->count - at));
}

/* A fork, and the end of its block. */
static void insert_drawn(struct program *program, int at, uint64_t *state) {
  struct op drawn[2] = {{.kind = OP_END}, {.kind = OP_END}};
  op_draw(&drawn[0], state);
  insert(program, at, drawn, drawn[0].kind == OP_FORK ? 2 : 1);
}

static void repeat(struct program *program, int from, int at, uint64_t *state) {
  enum { MOST = 8 };
  struct op copies[MOST];
  int count = 1 + draw_below(state, MOST);
  if (count > program->count - from) count = program->count - from;
  memcpy(copies, &program->ops[from], sizeof *copies * (size_t)count);
  insert(program, at, copies, count);
}

static void mutate(struct program *program, uint64_t *state) {
  int at = draw_below(state, program->count + 1), other = draw_below(state, program->count + 1);
  switch (at == program->count ? 0 : draw_below(state, 5)) {
    case 1:
      leave_out(program, at, 1);
      break;
    case 2:
    case 3:
      if (program->ops[at].kind != OP_SCRIPT) op_redraw(&program->ops[at], draw_below(state, ARGUMENTS), state);
      break;
    case 4:
      repeat(program, at, other, state);
      break;
    default:
      insert_drawn(program, at, state);
  }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  uint64_t state = seed;
  struct program program;
  if (!read_program(&program, data, size)) program_draw(&program, seed);
  for (int i = 1 + draw_below(&state, 4); i > 0; i--) mutate(&program, &state);
  return write_program(&program, data, most);
}

/* The beginning of one, and the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t size, const uint8_t *other, size_t other_size, uint8_t *to,
                                 size_t most, unsigned seed) {
  uint64_t state = seed;
  struct program program, end;
  read_program(&program, one, size);
  read_program(&end, other, other_size);
  int at = draw_below(&state, program.count + 1), from = draw_below(&state, end.count + 1);
  program.count = at;
  insert(&program, at, &end.ops[from], end.count - from);
  return write_program(&program, to, most);
}

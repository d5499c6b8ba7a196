/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

/* What each operation is called, its arguments, and how often it is drawn. */
static const struct shape {
  const char *name;
  const char *arguments[ARGUMENTS];
  int weight;
} shapes[KINDS] = {
    [OP_REGISTER] = {"register", {"has", "slot", "priority", "script", "refusals", "owner"}, 26},
    [OP_UNREGISTER] = {"unregister", {"slot"}, 14},
    [OP_STALE] = {"unregister-stale", {"slot"}, 2},
    [OP_GARBAGE] = {"unregister-garbage", {"which"}, 1},
    [OP_FOREACH] = {"foreach", {"script", "at", "stop"}, 6},
    [OP_FORK] = {"fork", {"way", "back"}, 16},
    [OP_END] = {"end", {NULL}, 0},
    [OP_POLL] = {"poll", {NULL}, 5},
    [OP_GENERATION] = {"generation", {NULL}, 3},
    [OP_LINEAGE] = {"lineage", {"size"}, 3},
    [OP_SEED] = {"seed", {"base"}, 1},
    [OP_ONCE] = {"once", {"control", "script"}, 6},
    [OP_TOKEN] = {"token", {"size"}, 2},
    [OP_NONFORK] = {"nonfork", {"spawns"}, 1},
    [OP_WORKER] = {"worker", {"how", "script", "environment", "early"}, 2},
    [OP_PLACE] = {"place", {"how"}, 1},
    [OP_LOAD] = {"load", {NULL}, 2},
    [OP_UNLOAD] = {"unload", {NULL}, 8},
    [OP_MANY] = {"many", {"count", "keep", "priority", "has"}, 3},
    [OP_FEWER] = {"fewer", {"keep"}, 2},
    [OP_HANDLER] = {"handler", {"which", "script"}, 4},
    [OP_MUTEX] = {"mutex", {"which", "slot", "priority"}, 4},
    [OP_BUSY] = {"busy", {"which"}, 4},
    [OP_EXIT] = {"exit", {NULL}, 1},
    [OP_AT_EXIT] = {"at-exit", {"script"}, 1},
    [OP_SCRIPT] = {"script", {"number"}, 0},
};

/* ---- Drawing ---- */

uint64_t draw(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

int draw_below(uint64_t *state, int limit) {
  return (int)(draw(state) % (uint64_t)limit);
}

static enum kind draw_kind(uint64_t *state) {
  int total = 0;
  for (int i = 0; i < KINDS; i++) total += shapes[i].weight;
  int left = draw_below(state, total);
  int kind = 0;
  while (left >= shapes[kind].weight) left -= shapes[kind++].weight;
  return (enum kind)kind;
}

/* Mostly near 0, where hooks meet; the ends, and what is beyond them. */
static int draw_priority(uint64_t *state) {
  static const int rare[] = {-32768, 32767, -32769, 32768, 256, -256, 4000};
  enum { RARE = sizeof rare / sizeof *rare };
  if (draw_below(state, 10) == 0) return rare[draw_below(state, RARE)];
  return draw_below(state, 5) - 2;
}

/* Mostly one that can be registered. */
static int draw_has(uint64_t *state) {
  int has = draw_below(state, HAS_ALL + 1);
  if (draw_below(state, 20) == 0) return has;
  if ((has & HAS_TRY) != 0)
    has &= ~HAS_PREPARE;
  else
    has &= ~HAS_WAIT;
  return has | (draw_below(state, 3) != 0 ? HAS_CHILD : 0);
}

static int draw_count(uint64_t *state) {
  return draw_below(state, 30) == 0 ? 4000 + draw_below(state, 12000) : 1 + draw_below(state, 150);
}

static int draw_script(uint64_t *state) {
  return draw_below(state, 2) == 0 ? 0 : 1 + draw_below(state, SCRIPTS);
}

static void draw_register(int *to, uint64_t *state) {
  to[0] = draw_has(state);
  to[1] = draw_below(state, SLOTS);
  to[2] = draw_priority(state);
  to[3] = draw_script(state);
  to[4] = draw_below(state, 3);
  to[5] = draw_below(state, 3) == 0 ? OF_PLUGIN : draw_below(state, OWNERS);
}

static int draw_way(uint64_t *state) {
  return draw_below(state, 2) == 0 ? BY_FORK : draw_below(state, WAYS);
}

static void draw_arguments(struct op *op, uint64_t *state) {
  int *to = op->arguments;
  switch (op->kind) {
    case OP_REGISTER:
      draw_register(to, state);
      break;
    case OP_FOREACH:
      to[0] = draw_script(state);
      to[1] = draw_below(state, 4);
      to[2] = draw_below(state, 8);
      break;
    case OP_FORK:
      to[0] = draw_way(state);
      to[1] = draw_below(state, 4) == 0;
      break;
    case OP_HANDLER:
      to[0] = draw_below(state, HANDLERS);
      to[1] = draw_script(state);
      break;
    case OP_WORKER:
      to[0] = draw_below(state, MANNERS);
      to[1] = draw_script(state);
      to[2] = draw_below(state, ENVIRONMENTS);
      to[3] = draw_script(state);
      break;
    case OP_MUTEX:
      to[0] = draw_below(state, MUTEXES + 1);
      to[1] = draw_below(state, SLOTS);
      to[2] = draw_priority(state);
      break;
    case OP_BUSY:
      to[0] = draw_below(state, MUTEXES);
      break;
    case OP_AT_EXIT:
      to[0] = draw_script(state);
      break;
    case OP_ONCE:
      to[0] = draw_below(state, CONTROLS);
      to[1] = draw_script(state);
      break;
    case OP_MANY:
      to[0] = draw_count(state);
      to[1] = draw_below(state, KEEP_ALL + 1);
      to[2] = draw_priority(state);
      to[3] = draw_below(state, 3) == 0 ? HAS_PREPARE | HAS_PARENT | HAS_CHILD : HAS_CHILD;
      break;
    default:
      to[0] = draw_below(state, SLOTS);
  }
}

void op_draw(struct op *op, uint64_t *state) {
  *op = (struct op){draw_kind(state), {0}};
  draw_arguments(op, state);
}

static void add(struct program *program, enum kind kind, int argument) {
  if (program->count == OPS_MAX) return;
  program->ops[program->count++] = (struct op){kind, {argument}};
}

static void draw_ops(struct program *program, uint64_t *state, int count, int depth) {
  while (count-- > 0 && program->count < OPS_MAX) {
    struct op op;
    op_draw(&op, state);
    program->ops[program->count++] = op;
    if (op.kind != OP_FORK) continue;
    if (depth > 0) draw_ops(program, state, draw_below(state, 6), depth - 1);
    add(program, OP_END, 0);
  }
}

void program_draw(struct program *program, uint64_t seed) {
  uint64_t state = seed;
  program->count = 0;
  draw_ops(program, &state, 8 + draw_below(&state, 40), 2);
  for (int i = 1; i <= SCRIPTS; i++) {
    add(program, OP_SCRIPT, i);
    draw_ops(program, &state, 1 + draw_below(&state, 4), 1);
  }
}

/* ---- Text ---- */

static void write_op(const struct op *op, FILE *file) {
  const struct shape *shape = &shapes[op->kind];
  fprintf(file, "%s", shape->name);
  for (int i = 0; i < ARGUMENTS && shape->arguments[i] != NULL; i++)
    fprintf(file, " %s=%d", shape->arguments[i], op->arguments[i]);
  fputc('\n', file);
}

void program_write(const struct program *program, FILE *file) {
  for (int i = 0; i < program->count; i++) write_op(&program->ops[i], file);
}

static bool read_kind(const char *name, struct op *op) {
  for (int i = 0; i < KINDS; i++) {
    if (strcmp(name, shapes[i].name) != 0) continue;
    op->kind = (enum kind)i;
    return true;
  }
  return false;
}

static bool read_argument(const char *text, struct op *op) {
  const struct shape *shape = &shapes[op->kind];
  const char *value = strchr(text, '=');
  if (value == NULL) return false;
  for (int i = 0; i < ARGUMENTS && shape->arguments[i] != NULL; i++) {
    size_t length = strlen(shape->arguments[i]);
    if (length != (size_t)(value - text) || strncmp(text, shape->arguments[i], length) != 0) continue;
    op->arguments[i] = atoi(value + 1);
    return true;
  }
  return false;
}

static bool read_op(char *line, struct op *op) {
  char *rest = NULL;
  *op = (struct op){0};
  const char *word = strtok_r(line, " \n", &rest);
  if (word == NULL || !read_kind(word, op)) return false;
  while ((word = strtok_r(NULL, " \n", &rest)) != NULL)
    if (!read_argument(word, op)) return false;
  return true;
}

/* Empty lines, and those that begin with #, are passed over. */
bool program_read(struct program *program, FILE *file) {
  char line[256];
  program->count = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (line[0] == '\n' || line[0] == '#') continue;
    if (program->count == OPS_MAX || !read_op(line, &program->ops[program->count++])) return false;
  }
  return true;
}

/* ---- Sections ---- */

int program_section(const struct program *program, int number) {
  if (number == 0) return 0;
  for (int i = 0; i < program->count; i++)
    if (program->ops[i].kind == OP_SCRIPT && program->ops[i].arguments[0] == number) return i + 1;
  return program->count;
}

int program_section_end(const struct program *program, int at) {
  while (at < program->count && program->ops[at].kind != OP_SCRIPT) at++;
  return at;
}

int program_block_end(const struct program *program, int at) {
  int end = program_section_end(program, at);
  int depth = 0;
  for (; at < end; at++) {
    depth += program->ops[at].kind == OP_FORK;
    depth -= program->ops[at].kind == OP_END;
    if (depth == 0) return at;
  }
  return end;
}

/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

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

static int draw_way(uint64_t *state) {
  return draw_below(state, 2) == 0 ? BY_FORK : draw_below(state, WAYS);
}

static int draw_back(uint64_t *state) {
  return draw_below(state, 4) == 0;
}

static int draw_owner(uint64_t *state) {
  return draw_below(state, 3) == 0 ? OF_PLUGIN : draw_below(state, OWNERS);
}

static int draw_phases(uint64_t *state) {
  return draw_below(state, 3) == 0 ? HAS_PREPARE | HAS_PARENT | HAS_CHILD : HAS_CHILD;
}

/* One of `limit` values, if there is one: each as often, or as `draw` has it. */
struct argument {
  const char *name;
  int limit;
  int (*draw)(uint64_t *state);
};

#define SCRIPT(name) \
  { name, SCRIPTS + 1, draw_script }
#define SLOT \
  { "slot", .limit = SLOTS }
#define PRIORITY \
  { "priority", .draw = draw_priority }

/* What each operation is called, its arguments, and how often it is drawn. */
static const struct shape {
  const char *name;
  struct argument arguments[ARGUMENTS];
  int weight;
} shapes[KINDS] = {
    [OP_REGISTER] = {"register",
                     {{"has", HAS_ALL + 1, draw_has},
                      SLOT,
                      PRIORITY,
                      SCRIPT("script"),
                      {"refusals", .limit = 3},
                      {"owner", OWNERS, draw_owner}},
                     26},
    [OP_UNREGISTER] = {"unregister", {SLOT}, 14},
    [OP_STALE] = {"unregister-stale", {SLOT}, 2},
    [OP_GARBAGE] = {"unregister-garbage", {{"which", .limit = 12}}, 1},
    [OP_FOREACH] = {"foreach", {SCRIPT("script"), {"at", .limit = 4}, {"stop", .limit = 8}}, 6},
    [OP_FORK] = {"fork", {{"way", WAYS, draw_way}, {"back", 2, draw_back}}, 16},
    [OP_END] = {.name = "end"},
    [OP_POLL] = {.name = "poll", .weight = 5},
    [OP_GENERATION] = {.name = "generation", .weight = 3},
    [OP_LINEAGE] = {"lineage", {{"size", .limit = SMALL}}, 3},
    [OP_SEED] = {"seed", {{"base", .limit = 12}}, 1},
    [OP_ONCE] = {"once", {{"control", .limit = CONTROLS}, SCRIPT("script")}, 6},
    [OP_TOKEN] = {"token", {{"size", .limit = SMALL}}, 2},
    [OP_NONFORK] = {"nonfork", {{"spawns", .limit = 4}}, 1},
    [OP_WORKER] =
        {"worker",
         {{"how", .limit = MANNERS}, SCRIPT("script"), {"environment", .limit = ENVIRONMENTS}, SCRIPT("early")},
         2},
    [OP_PLACE] = {"place", {{"how", .limit = 2}}, 1},
    [OP_LOAD] = {.name = "load", .weight = 2},
    [OP_UNLOAD] = {.name = "unload", .weight = 8},
    [OP_MANY] =
        {"many",
         {{"count", .draw = draw_count}, {"keep", .limit = KEEP_ALL + 1}, PRIORITY, {"has", HAS_ALL + 1, draw_phases}},
         3},
    [OP_FEWER] = {"fewer", {{"keep", .limit = 12}}, 2},
    [OP_HANDLER] = {"handler", {{"which", .limit = HANDLERS}, SCRIPT("script")}, 4},
    [OP_MUTEX] = {"mutex", {{"which", .limit = MUTEXES + 1}, SLOT, PRIORITY}, 4},
    [OP_BUSY] = {"busy", {{"which", .limit = MUTEXES}}, 4},
    [OP_KEEP] = {"keep", {{"which", .limit = MUTEXES}}, 3},
    [OP_GIVE] = {.name = "give", .weight = 1},
    [OP_EXIT] = {.name = "exit", .weight = 1},
    [OP_AT_EXIT] = {"at-exit", {SCRIPT("script")}, 1},
    [OP_SCRIPT] = {"script", {{"number", .limit = SCRIPTS + 1}}, 0},
};

static enum kind draw_kind(uint64_t *state) {
  int total = 0;
  for (int i = 0; i < KINDS; i++) total += shapes[i].weight;
  int left = draw_below(state, total);
  int kind = 0;
  while (left >= shapes[kind].weight) left -= shapes[kind++].weight;
  return (enum kind)kind;
}

void op_redraw(struct op *op, int which, uint64_t *state) {
  const struct argument *argument = &shapes[op->kind].arguments[which];
  if (argument->name == NULL) return;
  op->arguments[which] = argument->draw != NULL ? argument->draw(state) : draw_below(state, argument->limit);
}

void op_draw(struct op *op, uint64_t *state) {
  *op = (struct op){draw_kind(state), {0}};
  for (int i = 0; i < ARGUMENTS; i++) op_redraw(op, i, state);
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
  for (int i = 0; i < ARGUMENTS && shape->arguments[i].name != NULL; i++)
    fprintf(file, " %s=%d", shape->arguments[i].name, op->arguments[i]);
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
  const struct argument *arguments = shapes[op->kind].arguments;
  const char *value = strchr(text, '=');
  if (value == NULL) return false;
  int i = 0;
  size_t length = (size_t)(value - text);
  while (i < ARGUMENTS && arguments[i].name != NULL && strncmp(text, arguments[i].name, length) != 0) i++;
  if (i == ARGUMENTS || arguments[i].name == NULL || arguments[i].name[length] != '\0') return false;
  op->arguments[i] = atoi(value + 1);
  return arguments[i].limit == 0 || (op->arguments[i] >= 0 && op->arguments[i] < arguments[i].limit);
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

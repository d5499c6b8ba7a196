/* SPDX-License-Identifier: MIT */
/* Which process the model is in: pids tell, and each call of the library looks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

struct model_process me;

void model_begin(uint64_t generation, const char *lineage, uint64_t run, enum atfork_place place, bool is_called) {
  me.is_called = is_called;
  me.thread = getpid();
  me.pid = getpid();
  me.generation = generation;
  me.run = run;
  me.place = place;
  snprintf(me.lineage, sizeof me.lineage, "%s", lineage);
}

static void become_child(const char *name) {
  size_t length = strlen(me.lineage);
  snprintf(me.lineage + length, sizeof me.lineage - length, ".%s", name);
  me.pid = getpid();
  me.generation++;
  me.children = model_numbers_taken();
  me.place = ATFORK_FORKED;
  me.owes = true;
  me.note.parent = 0;
}

/* Of the fork whose child this is, which is prepared or was noted; 0: of one that bypassed the handlers. */
static uint64_t number_of_fork(void) {
  uint64_t prepared = model_number_prepared();
  if (prepared != 0) return prepared;
  return me.note.parent != 0 && me.note.parent == getppid() ? me.note.number : 0;
}

void model_find_out(void) {
  char name[32];
  if (me.pid == getpid()) return;
  uint64_t number = number_of_fork();
  if (number != 0)
    snprintf(name, sizeof name, "%llu", (unsigned long long)number);
  else
    snprintf(name, sizeof name, "p%d", (int)getpid());
  become_child(name);
}

void model_look(void) {
  me.is_called = true;
  model_find_out();
}

/* ---- Who this is ---- */

uint64_t model_generation(void) {
  model_look();
  return me.generation;
}

static int show(const char *text, char *buf, size_t size) {
  return snprintf(buf, size, "%s", text);
}

static int refuse(int error) {
  errno = error;
  return -1;
}

int model_lineage(char *buf, size_t size) {
  if (buf == NULL && size > 0) return refuse(EINVAL);
  model_look();
  return show(me.lineage, buf, size);
}

uint64_t model_seed(uint64_t base) {
  model_look();
  return stream_seed(base, me.lineage, strlen(me.lineage));
}

void model_seed_bytes(uint64_t base, void *buf, size_t size) {
  model_look();
  stream_bytes(base, me.lineage, buf, size);
}

uint64_t model_run(void) {
  model_look();
  return me.run;
}

enum atfork_place model_place(void) {
  model_look();
  return me.place;
}

void model_once(int control, void (*init)(void *data), void *data) {
  model_look();
  pid_t pid = me.pid;
  uint64_t here = me.generation;
  if (me.done[control].pid == pid && me.done[control].generation == here) return;
  init(data);
  model_look();
  if (me.pid != pid || me.generation != here) return;
  me.done[control].pid = pid;
  me.done[control].generation = here;
}

/* ---- Tokens: "model RUN GENERATION LINEAGE" ---- */

int model_token(char *buf, size_t size) {
  char text[2 * LINEAGE_SIZE];
  model_look();
  int length = snprintf(text, sizeof text, "model %llu %llu %s.%llu", (unsigned long long)me.run,
                        (unsigned long long)me.generation + 1, me.lineage, (unsigned long long)me.children + 1);
  if ((size_t)length < size) me.children++;
  return show(text, buf, size);
}

int model_child_token(const char *of, uint64_t n, char *buf, size_t size) {
  unsigned long long of_run, of_generation;
  char of_lineage[LINEAGE_SIZE];
  model_look();
  if (n == 0 || sscanf(of, "model %llu %llu %1000s", &of_run, &of_generation, of_lineage) != 3) {
    errno = EINVAL;
    return -1;
  }
  return snprintf(buf, size, "model %llu %llu %s.%llu", of_run, of_generation + 1, of_lineage, (unsigned long long)n);
}

int model_spawned(const char *text) {
  unsigned long long of_run, of_generation;
  char of_lineage[LINEAGE_SIZE];
  bool by_environment = text == NULL;
  model_look();
  if (by_environment) text = getenv("ATFORK_TOKEN");
  if (me.generation != 0) return refuse(EALREADY);
  if (text == NULL || sscanf(text, "model %llu %llu %1000s", &of_run, &of_generation, of_lineage) != 3)
    return refuse(EINVAL);
  me.run = of_run;
  me.generation = of_generation;
  me.place = ATFORK_SPAWNED;
  if (by_environment) unsetenv("ATFORK_TOKEN");
  memcpy(me.lineage, of_lineage, sizeof me.lineage);
  me.owes = true;
  model_run_due();
  return 0;
}

int model_adopt(const char *rank) {
  uint64_t number;
  model_look();
  if (me.generation != 0) return refuse(EALREADY);
  int error = rank == NULL ? launcher_rank(&number) : stream_number(rank, &number) ? 0 : EINVAL;
  if (error != 0) return refuse(error);
  me.generation = 1;
  me.place = ATFORK_ADOPTED;
  launcher_run(&me.run);
  snprintf(me.lineage, sizeof me.lineage, "0.r%llu", (unsigned long long)number);
  me.owes = true;
  model_run_due();
  return 0;
}

int model_launcher(char *buf, size_t size) {
  static char text[LAUNCHER_TEXT_SIZE];
  model_look();
  launcher_show(text);
  return show(text, buf, size);
}

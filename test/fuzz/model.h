/* SPDX-License-Identifier: MIT */
/* What the model's files share: model.c has its hooks and forks, model_process.c and model_mutex.c the rest. */
#ifndef ATFORK_FUZZ_MODEL_H
#define ATFORK_FUZZ_MODEL_H

#include "api.h"
#include "streams.h"

/* ---- The process ---- */

struct model_process {
  pid_t pid;
  pid_t thread; /* what the C library has noted: a system call does not change it */
  uint64_t generation, children, run;
  enum atfork_place place;
  char lineage[LINEAGE_SIZE];
  bool owes;      /* child hooks are due here */
  bool is_called; /* something has called the library, here or in a process above */
  struct {
    pid_t parent; /* of whose fork, before the first call, this process is the child, perhaps; or 0 */
    uint64_t number;
  } note;
  struct {
    pid_t pid;
    uint64_t generation;
  } done[CONTROLS];
};

extern struct model_process me;

/* Notes that this is a new process, if it is one. */
void model_find_out(void);

/* So begins each call of the library. */
void model_look(void);

/* As the functions of `struct api` of these names. */
uint64_t model_generation(void);
int model_lineage(char *buf, size_t size);
uint64_t model_seed(uint64_t base);
void model_seed_bytes(uint64_t base, void *buf, size_t size);
uint64_t model_run(void);
enum atfork_place model_place(void);
void model_once(int control, void (*init)(void *data), void *data);
int model_token(char *buf, size_t size);
int model_child_token(const char *of, uint64_t n, char *buf, size_t size);
int model_spawned(const char *text);
int model_adopt(const char *rank);
int model_launcher(char *buf, size_t size);

/* ---- Its forks ---- */

/* Of the prepared fork whose child this may be; or 0. */
uint64_t model_number_prepared(void);

/* The highest number that forks under way have for a child that is in them, too. */
uint64_t model_numbers_taken(void);

/* Runs the child hooks that are due; how many ran. */
int model_run_due(void);

/* ---- Its hooks ---- */

atfork_id model_add(const struct atfork_hook *hook, enum owner owner);

/* As the functions of `struct api` of these names. */
atfork_id model_add_mutex(int which, int priority);
bool model_is_busy(int which);
void model_keep(int which);
void model_give(int which);

#endif

/* SPDX-License-Identifier: MIT */
/* What a program is run against: the library, or the model of it. */
#ifndef ATFORK_FUZZ_API_H
#define ATFORK_FUZZ_API_H

#include <atfork.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ops.h"

struct api {
  const char *name;
  /* As the functions of the library of these names. */
  atfork_id (*add)(const struct atfork_hook *hook, enum owner owner);
  atfork_id (*add_mutex)(int which, int priority);
  int (*unregister)(atfork_id id);
  int (*visit)(int (*visit)(const struct atfork_info *info, void *arg), void *arg);
  uint64_t (*generation)(void);
  int (*lineage)(char *buf, size_t size);
  uint64_t (*seed)(uint64_t base);
  void (*seed_bytes)(uint64_t base, void *buf, size_t size);
  uint64_t (*run)(void);
  enum atfork_place (*place)(void);
  int (*poll)(void);
  void (*once)(int control, void (*init)(void *data), void *data);
  int (*token)(char *buf, size_t size);
  int (*child_token)(const char *token, uint64_t n, char *buf, size_t size);
  int (*spawned)(const char *token);
  int (*adopt)(const char *rank);
  int (*launcher)(char *buf, size_t size);
  pid_t (*fork)(enum way way);
  /* The plugin, which is not loaded, or is. */
  void (*load)(void);
  void (*unload)(void);
  /* Whether this thread cannot have the mutex now. */
  bool (*is_busy)(int which);
  /* Takes it, and gives it back. */
  void (*keep)(int which);
  void (*give)(int which);
  /* What exit() calls, the latest first; and exit(). */
  void (*at_exit)(int script);
  void (*end)(void);
};

extern const struct api library, model;

/* Opens what the library is to load later, while files can be reached by their paths. */
void library_prepare(void);

/* Gives the C library such handlers, before the library's own and after. */
void library_surround(void);

/* What the plugin's callbacks call. */
extern const struct atfork_hook *library_callbacks;

/* Has the model begin where the library is: in the process of this generation, lineage and run, where the library was
 * called, or was not. */
void model_begin(uint64_t generation, const char *lineage, uint64_t run, enum atfork_place place, bool is_called);

/* What exit() calls. */
void run_at_exit(int script);

#endif

/* SPDX-License-Identifier: MIT */
/* Registering many hooks of three callbacks that do nothing, with libatfork and with pthread_atfork(). */
#ifndef ATFORK_BENCH_HOOKS_H
#define ATFORK_BENCH_HOOKS_H

#include <atfork.h>
#include <pthread.h>

#include "bench.h"

static inline void hook_nothing(void *data) {
  (void)data;
}

static inline void handler_nothing(void) {
}

static inline atfork_id register_ours(int priority) {
  return atfork_register(&(struct atfork_hook){
      .priority = priority,
      .prepare = hook_nothing,
      .parent = hook_nothing,
      .child = hook_nothing,
  });
}

static inline int register_theirs(void) {
  return pthread_atfork(handler_nothing, handler_nothing, handler_nothing);
}

static inline void register_many_ours(long hooks) {
  for (long i = 0; i < hooks; i++) require(register_ours(0) != 0);
}

static inline void register_many_theirs(long hooks) {
  for (long i = 0; i < hooks; i++) require(register_theirs() == 0);
}

#endif

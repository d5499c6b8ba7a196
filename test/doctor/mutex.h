/* SPDX-License-Identifier: MIT */
/* The lock that most of the programs have. */
#ifndef ATFORK_TEST_DOCTOR_MUTEX_H
#define ATFORK_TEST_DOCTOR_MUTEX_H

#include "program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static inline void take(void) {
  pthread_mutex_lock(&lock);
}

static inline void give(void) {
  pthread_mutex_unlock(&lock);
}

static inline void use(void) {
  take();
  give();
}

/* Until the alarm, where that hangs. */
static inline void use_or_hang(void) {
  alarm(HANGS);
  use();
}

#endif

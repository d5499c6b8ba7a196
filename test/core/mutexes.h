/* SPDX-License-Identifier: MIT */
/*
 * A mutex of each type, which a fork holds, and what can be said of it afterwards.
 */
#ifndef ATFORK_TEST_MUTEXES_H
#define ATFORK_TEST_MUTEXES_H

#include <pthread.h>

#include "forks.h"

extern const int types[3];
extern pthread_mutex_t mutex;

void make_mutex(int type);

/* What trylock says to another thread. */
int locked_by_another(void);

/* It is free, and of its type still. */
void is_usable(void);

/* Starts a thread, which opens `ready` when it is where it is to be. */
extern struct gate ready;
void start(void *(*body)(void *));

#endif

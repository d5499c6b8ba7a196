/* SPDX-License-Identifier: MIT */
/* Forks at a lock operation, as another thread might. */
#ifndef ATFORK_WATCH_EXPLORE_H
#define ATFORK_WATCH_EXPLORE_H

#include "watch.h"

extern bool explore_on;

/* The caller has just taken the lock. */
void explore_taken(enum lock_kind kind, const void *lock);

/* The caller is about to wait for the lock, maybe in a fork handler. */
void explore_waits(const void *lock);

/* A child of ours, which the program's own wait() must not return. */
bool explore_owns(pid_t pid);

#endif

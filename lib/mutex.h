/* SPDX-License-Identifier: MIT */
/*
 * A hook that holds a mutex across each fork.
 *
 * A signal handler that forks must find a mutex locked by this thread noted as such, or not locked by it: so between
 * locking and noting signals are held back, and between taking the note away and unlocking.
 */
#ifndef ATFORK_MUTEX_H
#define ATFORK_MUTEX_H

#include "atfork.h"

/* As atfork_register_mutex_for(). */
atfork_id atfork_mutex_register(pthread_mutex_t *mutex, int priority, void *dso);

#endif

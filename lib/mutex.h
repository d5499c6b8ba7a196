/* SPDX-License-Identifier: MIT */
/*
 * A hook that holds a mutex across each fork.
 *
 * A hook notes which thread has locked the mutex for a fork.  A signal handler that forks relies on the note.  So
 * signals are blocked while the mutex is locked and the note written, and while the note is cleared and the mutex
 * unlocked.
 */
#ifndef ATFORK_MUTEX_H
#define ATFORK_MUTEX_H

#include "atfork.h"

/* See atfork_register_mutex_for(). */
atfork_id atfork_mutex_register(pthread_mutex_t *mutex, int priority, void *dso);

#endif

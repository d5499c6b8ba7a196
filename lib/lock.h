/* SPDX-License-Identifier: MIT */
/*
 * The one lock: whoever changes the registry holds it, for the length of one update and never across a
 * callback.  A fork takes it only at its end, when a hook is left to be buried or a table to be given back, and in the
 * child; and before it begins where it has the hooks to run that a bypassing one has missed.
 *
 * A signal handler that interrupts its own thread's update finds the lock its own ("nested").  It then has
 * the state to itself, as all other threads are kept out and the interrupted update waits for it to return;
 * registry.c says how it goes about.
 *
 * A child starts with the lock free.  One that was forked by a signal handler inside its own thread's update
 * takes it back with atfork_lock_inherit(), as that update goes on when the handler returns.
 */
#ifndef ATFORK_LOCK_H
#define ATFORK_LOCK_H

#include <stdbool.h>

/* Waits for the lock.  True when this thread held it already: then nothing was taken. */
bool atfork_lock_enter(void);

/* Lets go, unless `nested`. */
void atfork_lock_leave(bool nested);

/* In a new process, before the lock is used there. */
void atfork_lock_inherit(void);

#endif

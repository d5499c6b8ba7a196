/* SPDX-License-Identifier: MIT */
/*
 * The one lock.  A thread that changes the registry holds it, for one update, and never across a callback.  A fork
 * takes it only at its end, if it has hooks to bury or tables to give back; in the child; and before it begins, if a
 * bypassing fork made this process.
 *
 * A signal handler that interrupts an update of its own thread finds that the thread has the lock ("nested").  Other
 * threads are kept out, and the interrupted update goes on only when the handler returns; registry.c says how the
 * handler makes its own update.
 *
 * A child finds the lock free.  If a signal handler forked inside an update of its own thread, the child takes the lock
 * again by atfork_lock_inherit(), as that update goes on when the handler returns.
 */
#ifndef ATFORK_LOCK_H
#define ATFORK_LOCK_H

#include <stdbool.h>

/* Waits for the lock.  Returns true if this thread has it already: "nested". */
bool atfork_lock_enter(void);

/* Releases the lock, unless `nested`. */
void atfork_lock_leave(bool nested);

/* To be called in a new process before the lock is used there. */
void atfork_lock_inherit(void);

#endif

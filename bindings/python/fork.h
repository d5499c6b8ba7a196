/* SPDX-License-Identifier: MIT */
/*
 * When Python's callbacks run.  For a fork that Python makes, or that C code reports by PyOS_BeforeFork() and its like:
 * in three functions that are registered with os.register_at_fork().  For other forks: when the interpreter goes on, or
 * at poll().  Called with the GIL held.
 */
#ifndef ATFORK_PYTHON_FORK_H
#define ATFORK_PYTHON_FORK_H

#include "python.h"

#ifndef SWIG
/* A pending call, after a fork that Python did not see. */
int fork_pending(void *unused);
#endif

/*
 * If threading or random is imported after atfork, its functions run after ours.  Then ours are registered again, and
 * only the latest ones act: the first of all before a fork, the last after it.
 */
PyObject *native_step_in(void); /* the number of the next functions to register */
PyObject *native_before(PyObject *number);
PyObject *native_after_in_parent(PyObject *number);
PyObject *native_after_in_child(PyObject *number);

/* Runs the callbacks that this process has missed, also those of C's hooks; returns how many. */
PyObject *native_poll(void);

/* In a worker that was forked, and has then imported modules: runs `child` of the hooks that they have registered. */
PyObject *native_start(void);

/* Called when this process has taken a place: runs Python's `child` callbacks; the core has run C's. */
PyObject *native_arrived(void);

#endif

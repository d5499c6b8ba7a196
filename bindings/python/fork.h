/* SPDX-License-Identifier: MIT */
/*
 * When Python's callbacks run.  In step with os.register_at_fork(), which has three functions of ours, for every fork
 * that Python makes or is told of; for the others, when the interpreter goes on, or is asked to.  Called with the GIL
 * held.
 */
#ifndef ATFORK_PYTHON_FORK_H
#define ATFORK_PYTHON_FORK_H

#include "python.h"

#ifndef SWIG
/* A pending call, after a fork that Python was not told of. */
int fork_pending(void *unused);
#endif

/*
 * A module that is imported later, as threading or random, has its own functions run after ours.  So ours are
 * registered once more, and of each kind the latest act: the first of all before a fork, the last after it.
 */
PyObject *native_step_in(void); /* the number of the next that are registered */
PyObject *native_before(PyObject *number);
PyObject *native_after_in_parent(PyObject *number);
PyObject *native_after_in_child(PyObject *number);

/* Runs what this process has missed, C's hooks too; returns how many callbacks that were. */
PyObject *native_poll(void);

/* In a worker that was forked, and then has imported modules: runs `child` of what they have registered. */
PyObject *native_start(void);

/* This process has been given a place: runs Python's `child` callbacks, as the core has run C's. */
PyObject *native_arrived(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * When Python's callbacks run.  In step with os.register_at_fork(), which has three functions of ours, for every fork
 * that Python makes or is told of.  One hook of the core's watches for the others, and has a pending call
 * made for those.  Nothing of Python is entered inside fork(2).
 *
 * All of it is called with the GIL held.
 */
#ifndef ATFORK_PYTHON_RUNNING_H
#define ATFORK_PYTHON_RUNNING_H

#define PY_SSIZE_T_CLEAN
#include <atfork.h>
#include <Python.h>
#include <stdbool.h>

enum phase { PREPARE, PARENT, CHILD, PHASES };

/* Begins; an ImportError in a sub-interpreter, which os.fork() and pending calls know nothing of. */
PyObject *native_open(void);

/* The interpreter is about to end: no more pending calls. */
PyObject *native_close(void);

/* For os.register_at_fork(). */
PyObject *native_before(void);
PyObject *native_after_in_parent(void);
PyObject *native_after_in_child(void);

/* Runs what this process has missed, C's hooks too; returns how many callbacks that were. */
PyObject *native_poll(void);

/* In a worker that was forked, and then has imported modules: runs `child` of what they have registered. */
PyObject *native_start(void);

/* atfork_spawned(); None: the environment.  Returns 0 or an errno. */
PyObject *native_spawned(PyObject *token);

/*
 * The Python part of a hook.  callables: a tuple with a callable or None for each phase.  False with an exception
 * when there is no memory.
 */
bool running_add(atfork_id id, PyObject *callables, bool has_symbols);

/* Takes it out, and waits for the forks under way in other threads.  False if it is not there, or with an exception. */
bool running_remove(atfork_id id);

/* Whether this is the hook that watches. */
bool running_is_own(const struct atfork_hook *hook);

#endif

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

#include "registry.h"

/* Begins to watch for forks that Python is not told of, once in a process. */
bool running_watch(void);
void running_watch_no_more(void);

/* Whether this is the hook that watches. */
bool running_is_own(const struct atfork_hook *hook);

/* A hook was registered: forks from now on have it. */
void running_note_serial(uint64_t serial);

/* Whether a fork is under way in this thread, or, with greenlets, one of them. */
bool running_is_inside(const struct registry *registry);

/* Waits for the forks of other threads that have begun by now, and that the hook has a part in. */
void running_wait(struct registry *registry, uint64_t serial);

/* The interpreter is about to end: no more pending calls. */
PyObject *native_close(void);

/* Registers three functions by os.register_at_fork(), after those of whatever has been imported. */
PyObject *native_step_in(PyObject *register_at_fork);

/* An error that a function of the user's has raised, in a phase that is none of a fork's. */
PyObject *native_report(PyObject *error, PyObject *callback, PyObject *phase);

/* Inside a parent or child callback: whether this hook's own prepare ran for this fork, and returned. */
PyObject *native_prepared(void);

/* Names the fork whose callback runs; 0: none does. */
PyObject *native_ticket(void);

/* Runs what this process has missed, C's hooks too; returns how many callbacks that were. */
PyObject *native_poll(void);

/* In a worker that was forked, and then has imported modules: runs `child` of what they have registered. */
PyObject *native_start(void);

/* atfork_spawned(); None: the environment.  Returns 0 or an errno. */
PyObject *native_spawned(PyObject *token);

#endif

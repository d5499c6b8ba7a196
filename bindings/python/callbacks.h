/* SPDX-License-Identifier: MIT */
/* Runs the callbacks of a fork, and reports their errors. */
#ifndef ATFORK_PYTHON_CALLBACKS_H
#define ATFORK_PYTHON_CALLBACKS_H

#include "frame.h"

#ifndef SWIG
/*
 * Runs all prepare callbacks.  If one returns the package's NotNow, the hooks prepared so far get their `parent`.  Then
 * its wait() takes the lock, and the others are prepared after that.  False, with nothing prepared: the fork must start
 * again, as a hook was unregistered during the wait, perhaps by the thread that has the lock.
 */
bool run_prepare(struct registry *registry, struct frame *frame);

/* Runs all parent or child callbacks; returns how many. */
int run_after(struct registry *registry, struct frame *frame, enum phase phase);
#endif

/* Reports an error that a function of the user has raised, in a phase that is not one of a fork. */
PyObject *native_report(PyObject *error, PyObject *callback, PyObject *phase);

/* Inside a parent or child callback: whether this hook's own prepare ran for this fork, and returned. */
PyObject *native_prepared(void);

#endif

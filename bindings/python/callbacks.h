/* SPDX-License-Identifier: MIT */
/* Runs the callbacks of a fork, and reports their errors. */
#ifndef ATFORK_PYTHON_CALLBACKS_H
#define ATFORK_PYTHON_CALLBACKS_H

#include "frame.h"

#ifndef SWIG
/*
 * All prepare callbacks.  One that returns the package's NotNow has all that were prepared undone by their `parent`;
 * its wait() then takes what it could not, and the others come after that.  False, and nothing is prepared: the fork is
 * to begin anew, as a hook was unregistered while this waited, perhaps by a thread that has what was waited for.
 */
bool run_prepare(struct registry *registry, struct frame *frame);

/* All parent or child callbacks; how many. */
int run_after(struct registry *registry, struct frame *frame, enum phase phase);
#endif

/* An error that a function of the user's has raised, in a phase that is none of a fork's. */
PyObject *native_report(PyObject *error, PyObject *callback, PyObject *phase);

/* Inside a parent or child callback: whether this hook's own prepare ran for this fork, and returned. */
PyObject *native_prepared(void);

/* Names the fork whose callback runs; 0: none does. */
PyObject *native_ticket(void);

#endif

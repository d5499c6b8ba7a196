/* SPDX-License-Identifier: MIT */
/* An interpreter's registry, from the import to the interpreter's end. */
#ifndef ATFORK_PYTHON_INTERPRETER_H
#define ATFORK_PYTHON_INTERPRETER_H

#include "python.h"

/*
 * A new reference for the module to keep; None if the interpreter had one before.  The package; and of its own, the
 * class of hooks, that of what a prepare returns which cannot take a lock now, and register() for what is not plain.
 */
PyObject *native_open(PyObject *package, PyObject *hook_type, PyObject *not_now_type, PyObject *register_any);

/* The package that it was opened for. */
PyObject *native_package(void);

/* The interpreter is about to end: no more pending calls. */
PyObject *native_close(void);

#endif

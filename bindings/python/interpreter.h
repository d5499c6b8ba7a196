/* SPDX-License-Identifier: MIT */
/* An interpreter's registry, from the import to the interpreter's end. */
#ifndef ATFORK_PYTHON_INTERPRETER_H
#define ATFORK_PYTHON_INTERPRETER_H

#include "python.h"

/*
 * Opens the registry: a new reference for the module to keep; None: the interpreter has one.  Arguments: the package;
 * its class of hooks; its class NotNow; its register() for arguments that are not plain functions.
 */
PyObject *native_open(PyObject *package, PyObject *hook_type, PyObject *not_now_type, PyObject *register_any);

/* The package that it was opened for. */
PyObject *native_package(void);

/* Called when the interpreter is about to end: no more pending calls. */
PyObject *native_close(void);

#endif

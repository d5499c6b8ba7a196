/* SPDX-License-Identifier: MIT */
/* Python's hooks as those of the core: registering, listing, and finding C functions. */
#ifndef ATFORK_PYTHON_HOOKS_H
#define ATFORK_PYTHON_HOOKS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/*
 * callbacks: a tuple with one for each of prepare, parent and child: None, a callable, or the address of a C function.
 * All of them checked by the caller.  Returns the id.
 */
PyObject *native_register(PyObject *name, PyObject *priority, PyObject *callbacks);

/* True, or False if there is no such hook. */
PyObject *native_unregister(PyObject *id);

/* A tuple for each hook: id, name, priority, generation, and whether it has a prepare, parent, child. */
PyObject *native_hooks(void);

/* The address of a C function, in a library that stays loaded; None is the process itself. */
PyObject *native_symbol(PyObject *library, PyObject *name);

#endif

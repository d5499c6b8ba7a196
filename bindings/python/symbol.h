/* SPDX-License-Identifier: MIT */
/* Finds C functions. */
#ifndef ATFORK_PYTHON_SYMBOL_H
#define ATFORK_PYTHON_SYMBOL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The address of a C function, in a library that stays loaded; None is the process itself. */
PyObject *native_symbol(PyObject *library, PyObject *name);

/* Has the library of the function at that address stay loaded: whether it is in one. */
PyObject *native_keep_library(PyObject *address);

#endif

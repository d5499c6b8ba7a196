/* SPDX-License-Identifier: MIT */
/*
 * A value that belongs to the process that made it.  In a child the box holds it for good, whatever becomes of the box:
 * no finaliser runs there, and the garbage collector takes what the value refers to for in use.
 */
#ifndef ATFORK_PYTHON_KEPT_H
#define ATFORK_PYTHON_KEPT_H

#include "python.h"

#ifndef SWIG
/* The type of boxes; NULL with an exception. */
PyObject *kept_make_type(void);
#endif

/* A box: .value, .generation (that the value was made in), .inherited (from a parent), .release(). */
PyObject *native_keep(PyObject *value);

/* The values that this process has inherited in boxes, whether or not the boxes are still there. */
PyObject *native_inherited(void);

#endif

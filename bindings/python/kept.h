/* SPDX-License-Identifier: MIT */
/*
 * A value that belongs to the process that made it.  In a child the box's reference is never released, even if the box
 * is freed.  So no finaliser runs there, and the garbage collector treats all that the value refers to as in use.
 */
#ifndef ATFORK_PYTHON_KEPT_H
#define ATFORK_PYTHON_KEPT_H

#include "python.h"

#ifndef SWIG
/* The type of boxes; NULL with an exception. */
PyObject *kept_make_type(void);
#endif

/* Makes a box: .value, .generation (in which the value was made), .inherited (from a parent), .release(). */
PyObject *native_keep(PyObject *value);

/* The values that this process has inherited in boxes, even if the boxes are freed. */
PyObject *native_inherited(void);

#endif

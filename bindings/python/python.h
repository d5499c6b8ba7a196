/* SPDX-License-Identifier: MIT */
/* Python's C API, and functions that some versions lack. */
#ifndef ATFORK_PYTHON_PYTHON_H
#define ATFORK_PYTHON_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A function in a PyType_Slot, which has it as a void *: ISO C forbids that, and every system with Python allows it. */
#define SLOT(function) __extension__(void *)(function)

#if PY_VERSION_HEX < 0x030a0000
static inline PyObject *Py_NewRef(PyObject *object) {
  Py_INCREF(object);
  return object;
}
#endif

/*
 * As PyObject_GetAttrString(), which makes a string at each call: Python's cache of attributes would keep thousands of
 * them.  An interned name is one string.
 */
static inline PyObject *attribute(PyObject *object, const char *name) {
  PyObject *interned = PyUnicode_InternFromString(name);
  PyObject *value = interned == NULL ? NULL : PyObject_GetAttr(object, interned);
  Py_XDECREF(interned);
  return value;
}

/* The target of a weak reference, as a new reference; NULL: it has been collected. */
static inline PyObject *weakly(PyObject *reference) {
#if PY_VERSION_HEX >= 0x030d0000
  PyObject *object = NULL;
  PyWeakref_GetRef(reference, &object);
  return object;
#else
  PyObject *object = PyWeakref_GetObject(reference);
  return object == Py_None ? NULL : Py_NewRef(object);
#endif
}

/* Takes the current exception, as a new reference; sets it again, and takes over the reference. */
#if PY_VERSION_HEX >= 0x030c0000
#define take_exception PyErr_GetRaisedException
#define give_exception_back PyErr_SetRaisedException
#else
static inline PyObject *take_exception(void) {
  PyObject *kind, *error, *trace;
  PyErr_Fetch(&kind, &error, &trace);
  PyErr_NormalizeException(&kind, &error, &trace);
  if (trace != NULL) PyException_SetTraceback(error, trace);
  Py_XDECREF(kind);
  Py_XDECREF(trace);
  return error;
}

static inline void give_exception_back(PyObject *error) {
  PyErr_SetObject((PyObject *)Py_TYPE(error), error);
  Py_DECREF(error);
}
#endif

#endif

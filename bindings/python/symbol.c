/* SPDX-License-Identifier: MIT */
#include "symbol.h"

#include "library.h"

PyObject *native_symbol(PyObject *library, PyObject *name) {
  const char *c_library = library == Py_None ? NULL : PyUnicode_AsUTF8(library);
  const char *c_name = PyUnicode_AsUTF8(name);
  struct library_fault fault;
  if (c_name == NULL || PyErr_Occurred()) return NULL;
  void *address = library_find(c_library, c_name, &fault);
  return address == NULL ? PyErr_Format(PyExc_ValueError, "%s", fault.text) : PyLong_FromVoidPtr(address);
}

PyObject *native_keep_library(PyObject *address) {
  void *function = PyLong_AsVoidPtr(address);
  return PyErr_Occurred() ? NULL : PyBool_FromLong(library_keep(function));
}

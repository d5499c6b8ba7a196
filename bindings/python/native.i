/* SPDX-License-Identifier: MIT */
/* atfork._native: what the package is written on. */
%module native

%begin %{
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdio.h>
#include <string.h>

/*
 * The types that SWIG 4.3 makes have no module.  Python warns of each; where warnings are errors the type is NULL, and
 * SWIG does not check.  The names are static, as Python before 3.11 does not copy them.
 */
static PyObject *type_with_module(PyType_Spec *spec) {
  static char names[8][64];
  static size_t count;
  PyType_Spec copy = *spec;
  if (strchr(spec->name, '.') == NULL && count < sizeof names / sizeof names[0]) {
    snprintf(names[count], sizeof names[count], "atfork._native.%s", spec->name);
    copy.name = names[count++];
  }
  return PyType_FromSpec(&copy);
}
#define PyType_FromSpec type_with_module
%}

%{
#include "hooks.h"
#include "running.h"
%}

/* A lineage, and a token, are shorter than that, however deep the process. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "$result = PyUnicode_FromStringAndSize($1, result);"
%typemap(out) int atfork_lineage, int atfork_token "$result = NULL;"

%ignore atfork_poll; /* native_poll() also runs what is Python's */

%include "../atfork.i"

int atfork_token(char *buf, size_t size);

%rename("%(strip:[native_])s") "";

PyObject *native_open(void);
PyObject *native_close(void);
PyObject *native_before(void);
PyObject *native_after_in_parent(void);
PyObject *native_after_in_child(void);
PyObject *native_poll(void);
PyObject *native_start(void);
PyObject *native_spawned(PyObject *token);

PyObject *native_register(PyObject *name, PyObject *priority, PyObject *callbacks);
PyObject *native_unregister(PyObject *id);
PyObject *native_hooks(void);
PyObject *native_symbol(PyObject *library, PyObject *name);

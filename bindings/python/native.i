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
#include "kept.h"
#include "registry.h"
#include "running.h"
#include "symbol.h"

#define REGISTER_DOC                                                                                                   \
  "register($module, /, *, name='', priority=0, prepare=None, parent=None, child=None, key=None, owner=None)\n--\n\n"   \
  "Registers up to three callbacks: before a fork, after it in the parent, and after it in the child.\n\n"               \
  "A low priority is nearer the base: prepared last, put right first.  Callables are kept until unregister(), but for\n" \
  "a bound method: the hook goes with its object.  A hook of the same key is taken back first.  When the owner is\n"    \
  "collected, the hook goes, too; the callbacks must not keep it alive themselves."

/* Called so often, and with such names, that SWIG's wrapper would cost more than all the rest. */
static PyMethodDef register_method[] = {
    {"register", (PyCFunction)(void (*)(void))native_register, METH_FASTCALL | METH_KEYWORDS, REGISTER_DOC},
    {NULL, NULL, 0, NULL},
};
%}

/* An exception that is left here makes the import fail. */
%init %{
  PyObject *hook = hook_make_type();
  if (PyModule_AddFunctions(m, register_method) != 0 || hook == NULL || PyModule_AddObject(m, "Hook", hook) != 0)
    Py_XDECREF(hook);
%}

/* A lineage, and a token, are shorter than that, however deep the process. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "$result = PyUnicode_FromStringAndSize($1, result);"
%typemap(out) int atfork_lineage, int atfork_token "$result = NULL;"

%ignore atfork_poll; /* native_poll() also runs what is Python's */

%include "../atfork.i"

int atfork_token(char *buf, size_t size);

%rename("%(strip:[native_])s") "";

PyObject *native_open(PyObject *hook_type, PyObject *check);
PyObject *native_close(void);
PyObject *native_step_in(PyObject *register_at_fork);
PyObject *native_report(PyObject *error, PyObject *callback, PyObject *phase);
PyObject *native_prepared(void);
PyObject *native_ticket(void);
PyObject *native_poll(void);
PyObject *native_start(void);
PyObject *native_spawned(PyObject *token);

PyObject *native_attach(PyObject *hook, PyObject *child);
PyObject *native_hooks(void);
PyObject *native_symbol(PyObject *library, PyObject *name);
PyObject *native_keep_library(PyObject *address);

PyObject *native_keep(PyObject *value);
PyObject *native_inherited(void);

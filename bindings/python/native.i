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
#include <errno.h>

#include "fork.h"
#include "hook.h"
#include "interpreter.h"
#include "kept.h"
#include "lock.h"
#include "library.h"
#include "place.h"
#include "register.h"
#include "callbacks.h"

#define REGISTER_DOC                                                                                                   \
  "register($module, /, *, name='', priority=0, prepare=None, parent=None, child=None, key=None, owner=None)\n--\n\n"   \
  "Registers up to three callbacks: before a fork, after it in the parent, and after it in the child.\n\n"               \
  "A hook with a low priority is prepared last, and its parent and child run first.  Callables are kept until\n"          \
  "unregister().  A bound method is not kept: the hook ends when the method's object is collected, and so it does when\n" \
  "the owner is collected.  The callbacks must not keep the owner alive.  A hook with the same key is replaced."

/* Not wrapped by SWIG.  register() is called often, and SWIG's handling of keywords would cost more than the rest;
 * let_go() asks for no memory, not even for a tuple of arguments. */
static PyMethodDef methods[] = {
    {"register", (PyCFunction)(void (*)(void))native_register, METH_FASTCALL | METH_KEYWORDS, REGISTER_DOC},
    {"let_go", (PyCFunction)(void (*)(void))native_let_go, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};
%}

/* An exception that is set here makes the import fail. */
%init %{
  PyModule_AddFunctions(m, methods);
%}

/* Reads a text argument: SWIG's typemap copies it, and does not check whether there was memory. */
%{
static const char *text_of(PyObject *object) {
  if (object == Py_None) return NULL;
  return PyBytes_Check(object) ? PyBytes_AsString(object) : PyUnicode_AsUTF8(object);
}
%}
%typemap(in) const char * "$1 = (char *)text_of($input); if (PyErr_Occurred()) SWIG_fail;"
%typemap(freearg) const char * ""

/* A text: lineages, tokens and what a launcher says are shorter than that. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) %{
  $result = result < 0 ? PyErr_SetFromErrno(PyExc_OSError)
                       : PyUnicode_DecodeFSDefaultAndSize($1, result < (int)$2 ? result : (int)$2 - 1);
%}
%typemap(out) int atfork_lineage, int atfork_token, int atfork_child_token, int atfork_launcher "$result = NULL;"

/* As many bytes as are asked for. */
%typemap(in) (void *buf, size_t size) (PyObject *bytes) %{
  bytes = PyBytes_FromStringAndSize(NULL, PyLong_AsSsize_t($input));
  if (bytes == NULL || PyErr_Occurred()) SWIG_fail;
  $1 = PyBytes_AS_STRING(bytes);
  $2 = (size_t)PyBytes_GET_SIZE(bytes);
%}
%typemap(argout) (void *buf, size_t size) "$result = bytes$argnum;"
%typemap(out) void atfork_seed_bytes "$result = NULL;"

/* The errno, or 0. */
%typemap(out) int atfork_spawned, int atfork_adopt "$result = PyLong_FromLong($1 == 0 ? 0 : errno);"

%typemap(in, numinputs=0) struct library_fault *fault (struct library_fault fault) "$1 = &fault;"
%typemap(out) void *library_find "$result = $1 == NULL ? NULL : PyLong_FromVoidPtr($1);"
%typemap(argout) struct library_fault *fault %{
  if ($result == NULL) PyErr_SetString(PyExc_ValueError, $1->text);
%}

%typemap(out) enum atfork_place "$result = PyUnicode_FromString(place_words[$1]);"
%typemap(out) bool "$result = PyBool_FromLong($1);"

%ignore atfork_poll; /* native_poll() also runs what is Python's */

%include "../atfork.i"

%rename(symbol) library_find;
void *library_find(const char *library, const char *name, struct library_fault *fault);

%rename(keep_library) library_keep;
%typemap(in) void *function "$1 = PyLong_AsVoidPtr($input); if (PyErr_Occurred()) SWIG_fail;"
bool library_keep(void *function);

bool place_is_to_be_warned_of(void);

%rename("%(strip:[native_])s") "";
%ignore native_register;
%ignore native_let_go;

PyObject *native_make_hook_type(void);

%include "fork.h"
%include "interpreter.h"
%include "kept.h"
%include "lock.h"
%include "register.h"
%include "callbacks.h"

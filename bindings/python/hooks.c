/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr1() */
#include "hooks.h"

#include <atfork.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "running.h"

typedef void (*callback)(void *data);

/* ---- Registering ---- */

/* What is Python's is no business of the core's but for its place among the hooks: running.c runs it. */
static void leave_to_python(void *unused) {
  (void)unused;
}

/* False with an exception. */
static bool take_callback(PyObject *value, callback *function, bool *has_symbols) {
  if (!PyLong_Check(value)) {
    *function = value == Py_None ? NULL : leave_to_python;
    return true;
  }
  *function = (callback)(uintptr_t)PyLong_AsUnsignedLongLong(value);
  *has_symbols = true;
  return !PyErr_Occurred();
}

/* The same tuple with None for what is C's. */
static PyObject *callables_of(PyObject *callbacks) {
  PyObject *callables = PyTuple_New(PHASES);
  for (enum phase phase = PREPARE; callables != NULL && phase < PHASES; phase++) {
    PyObject *value = PyTuple_GET_ITEM(callbacks, phase);
    if (PyLong_Check(value)) value = Py_None;
    Py_INCREF(value);
    PyTuple_SET_ITEM(callables, phase, value);
  }
  return callables;
}

static PyObject *add(const struct atfork_hook *hook, PyObject *callables, bool has_symbols) {
  atfork_id id = atfork_register(hook);
  if (id == 0) return errno == ENOMEM ? PyErr_NoMemory() : PyErr_SetFromErrno(PyExc_OSError);
  /* Under the GIL, so that nothing of Python's forks in between. */
  if (running_add(id, callables, has_symbols)) return PyLong_FromUnsignedLongLong(id);
  atfork_unregister(id);
  return NULL;
}

PyObject *native_register(PyObject *name, PyObject *priority, PyObject *callbacks) {
  bool has_symbols = false;
  struct atfork_hook hook = {.name = PyUnicode_AsUTF8(name), .priority = (int)PyLong_AsLong(priority)};
  if (hook.name == NULL || PyErr_Occurred()) return NULL;
  if (!take_callback(PyTuple_GET_ITEM(callbacks, PREPARE), &hook.prepare, &has_symbols) ||
      !take_callback(PyTuple_GET_ITEM(callbacks, PARENT), &hook.parent, &has_symbols) ||
      !take_callback(PyTuple_GET_ITEM(callbacks, CHILD), &hook.child, &has_symbols))
    return NULL;
  PyObject *callables = callables_of(callbacks);
  PyObject *id = callables == NULL ? NULL : add(&hook, callables, has_symbols);
  Py_XDECREF(callables);
  return id;
}

PyObject *native_unregister(PyObject *id) {
  atfork_id number = PyLong_AsUnsignedLongLong(id);
  bool removed = !PyErr_Occurred() && running_remove(number);
  return PyErr_Occurred() ? NULL : PyBool_FromLong(removed);
}

/* ---- Listing ---- */

/* A hook as a tuple, put into the list; non-zero with an exception. */
static int append(const struct atfork_info *info, void *list) {
  const struct atfork_hook *hook = &info->hook;
  if (running_is_own(hook)) return 0;
  PyObject *name = PyUnicode_DecodeUTF8(hook->name, (Py_ssize_t)strlen(hook->name), "replace");
  if (name == NULL) return 1;
  bool prepares = hook->prepare != NULL || hook->try_prepare != NULL;
  PyObject *fields = Py_BuildValue("KNiKNNN", (unsigned long long)info->id, name, hook->priority,
                                   (unsigned long long)info->generation, PyBool_FromLong(prepares),
                                   PyBool_FromLong(hook->parent != NULL), PyBool_FromLong(hook->child != NULL));
  int error = fields == NULL ? -1 : PyList_Append(list, fields);
  Py_XDECREF(fields);
  return error == 0 ? 0 : 1;
}

PyObject *native_hooks(void) {
  PyObject *list = PyList_New(0);
  if (list != NULL && atfork_foreach(append, list) != 0) Py_CLEAR(list);
  return list;
}

/* ---- C functions ---- */

/* Data symbols and code look the same to dlsym(); the symbol table knows. */
static bool is_function(void *address) {
  Dl_info info;
  const ElfW(Sym) *entry = NULL;
  if (!dladdr1(address, &info, (void **)(uintptr_t)&entry, RTLD_DL_SYMENT) || entry == NULL) return true;
  int type = ELF64_ST_TYPE(entry->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

PyObject *native_symbol(PyObject *library, PyObject *name) {
  const char *c_library = library == Py_None ? NULL : PyUnicode_AsUTF8(library);
  const char *c_name = PyUnicode_AsUTF8(name);
  if (c_name == NULL || PyErr_Occurred()) return NULL;
  void *handle = dlopen(c_library, RTLD_NOW | RTLD_NODELETE);
  if (handle == NULL) return PyErr_Format(PyExc_ValueError, "%s", dlerror());
  void *address = dlsym(handle, c_name);
  if (address == NULL)
    PyErr_Format(PyExc_ValueError, "%s", dlerror());
  else if (!is_function(address))
    PyErr_Format(PyExc_ValueError, "%s is not a function", c_name);
  dlclose(handle);
  return PyErr_Occurred() ? NULL : PyLong_FromVoidPtr(address);
}

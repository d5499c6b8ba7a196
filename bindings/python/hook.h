/* SPDX-License-Identifier: MIT */
/* A hook as an object of Python: its callbacks, and its owners.  Called with the GIL held. */
#ifndef ATFORK_PYTHON_HOOK_H
#define ATFORK_PYTHON_HOOK_H

#include "python.h" /* first, as Python.h requires */

#include <atfork.h>
#include <stdbool.h>

#include "phase.h"

/*
 * The garbage collector does not track hooks.  As long as a hook is registered, the registry owns it, and visits the
 * objects that it refers to.  Afterwards it refers to no callback.
 */
struct hook {
  PyObject_HEAD PyObject *name;
  PyObject *key;    /* or NULL */
  PyObject *owners; /* weak references, in a list; or NULL */
  /* A callable; a bound method as (weak reference, function); a C function as (address, data, its object); or NULL. */
  PyObject *callbacks[PHASES];
  struct c_calls *c_calls; /* the C functions, or NULL */
  PyObject *weak_references;
  struct hook *next_key; /* keys.h */
  Py_hash_t hash;        /* of the key */
  atfork_id id;
  uint64_t generation; /* of the process that registered it */
  uint64_t serial;     /* of its registration */
  Py_ssize_t place;    /* in the registry's table, counted from 1; 0: not registered */
  int priority;
  bool is_python[PHASES]; /* who is called */
};

/* Makes a class of hooks, without methods: each interpreter has its own. */
PyObject *native_make_hook_type(void);

/* False with an exception. */
bool hook_take(struct hook *hook, enum phase phase, PyObject *callback);

/* Registers it in the core; false with an exception. */
bool hook_enter_core(struct hook *hook);

/* Unregisters it in the core without waiting: a fork under way may still call its C functions. */
void hook_leave_core(const struct hook *hook);

/* Whether the core no longer calls its C functions. */
bool hook_is_over(const struct hook *hook);

/* Releases callbacks, owners and key: the collector does not see the references of a hook that is not registered. */
void hook_let_go(struct hook *hook);

/* For the collector. */
int hook_visit(struct hook *hook, visitproc visit, void *arg);

/* Calls a callback; NULL with an exception.  If its object has been collected, returns None without a call. */
static inline PyObject *hook_call(PyObject *callback) {
  if (!PyTuple_CheckExact(callback)) return PyObject_CallNoArgs(callback);
  PyObject *object = weakly(PyTuple_GET_ITEM(callback, 0));
  if (object == NULL) Py_RETURN_NONE;
  PyObject *result = PyObject_CallOneArg(PyTuple_GET_ITEM(callback, 1), object);
  Py_DECREF(object);
  return result;
}

#endif

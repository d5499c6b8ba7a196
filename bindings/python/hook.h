/* SPDX-License-Identifier: MIT */
/* A hook as an object of Python: what it calls, and what it goes with.  Called with the GIL held. */
#ifndef ATFORK_PYTHON_HOOK_H
#define ATFORK_PYTHON_HOOK_H

#define PY_SSIZE_T_CLEAN
#include <atfork.h>
#include <Python.h>
#include <stdbool.h>

#include "phase.h"

#if PY_VERSION_HEX < 0x030a0000
static inline PyObject *Py_NewRef(PyObject *object) {
  Py_INCREF(object);
  return object;
}
#endif

/*
 * No object of the garbage collector's: as long as it is registered, the registry owns it, and visits what it refers
 * to; afterwards it refers to no callback.
 */
struct hook {
  PyObject_HEAD PyObject *name; /* or NULL: "" */
  PyObject *key;                /* or NULL */
  PyObject *owners;             /* weak references, in a list; or NULL */
  /* A callable; a bound method as (weak reference, function); the object of a C function; or NULL. */
  PyObject *callbacks[PHASES];
  struct c_calls *c_calls; /* the C functions, or NULL */
  PyObject *weak_references;
  atfork_id id;
  uint64_t generation; /* that it was registered in */
  uint64_t serial;     /* of its registration */
  Py_ssize_t place;    /* in the registry's table; -1: not registered */
  int priority;
  bool is_python[PHASES]; /* who is called */
};

/* The type; NULL with an exception.  A static one would keep what belongs to an interpreter that has ended. */
PyObject *hook_make_type(void);

/* What register() is given: the callbacks by their phases, and these; NULL or None for what is not. */
enum { NAME = PHASES, PRIORITY, KEY, OWNER, OPTIONS };

struct hook_options {
  PyObject *of[OPTIONS];
};

/*
 * Fills in a new hook.  check(phase, value), of the package's, tells a callable (it returns that) from a C function
 * ((address, data)), and raises for what is neither.  `forget` is called with the hook when an owner is collected.
 * False with an exception.
 */
bool hook_fill(struct hook *hook, const struct hook_options *options, PyObject *check, PyMethodDef *forget);

/* Has the core know it; false with an exception.  `python` is what stands there for a callable. */
bool hook_enter_core(struct hook *hook, void (*python)(void *data));

/* Whether the core will not call its C functions any more. */
bool hook_is_over(const struct hook *hook);

/* Lets go of callbacks, owners and key: the collector does not see what a hook refers to that is not registered. */
void hook_let_go(struct hook *hook);

/* What `reference` refers to, as a new reference, or NULL. */
PyObject *weakly(PyObject *reference);

PyObject *hook_call_method(PyObject *weak_method);

/* The result of a callback, or NULL with an exception; None without a call if its object is gone. */
static inline PyObject *hook_call(PyObject *callback) {
  return PyTuple_CheckExact(callback) ? hook_call_method(callback) : PyObject_CallNoArgs(callback);
}

#endif

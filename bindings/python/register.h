/* SPDX-License-Identifier: MIT */
/* Registers, unregisters and lists hooks. */
#ifndef ATFORK_PYTHON_REGISTER_H
#define ATFORK_PYTHON_REGISTER_H

#include "python.h"

/* register() for plain functions.  With other arguments it calls the package's register_any(). */
PyObject *native_register(PyObject *module, PyObject *const *values, Py_ssize_t count, PyObject *names);

/*
 * Fills in a new hook, and registers it.  Arguments are checked; callbacks are as for hook_take(); None means none.  A
 * hook with the same key is unregistered afterwards, as by native_unregister().  It stays if the new one cannot be
 * registered.
 */
PyObject *native_enter(PyObject *hook, PyObject *name, PyObject *priority, PyObject *key, PyObject *owners,
                       PyObject *callbacks);

/* Unregisters the hook, and waits for forks under way in other threads.  Inside a callback it does not wait.  False: it
 * was not registered. */
PyObject *native_unregister(PyObject *hook);

/* The same, but never waits: an owner was collected, in a thread that may hold any lock. */
PyObject *native_forget(PyObject *hook, PyObject *reference);

/* A tuple for each hook: id, name, priority, generation, and whether it has a prepare, parent, child. */
PyObject *native_hooks(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Registers hooks, takes them back, and lists them. */
#ifndef ATFORK_PYTHON_REGISTER_H
#define ATFORK_PYTHON_REGISTER_H

#include "python.h"

/* register() of plain functions; of anything else the package's register_any() of the same arguments. */
PyObject *native_register(PyObject *module, PyObject *const *values, Py_ssize_t count, PyObject *names);

/*
 * Fills in a new hook, and registers it: all is checked, the callbacks are as hook_take() has them, None stands for
 * none. A hook of the same key is taken back then, as by native_unregister(); it stays where this one cannot be
 * registered.
 */
PyObject *native_enter(PyObject *hook, PyObject *name, PyObject *priority, PyObject *key, PyObject *owners,
                       PyObject *callbacks);

/* Takes the hook back, and waits for the forks under way in other threads; inside a callback it does not wait.  False
 * if it was not there. */
PyObject *native_unregister(PyObject *hook);

/* The same, never waiting: an owner has gone, in any thread that collects garbage, whatever locks that has. */
PyObject *native_forget(PyObject *hook, PyObject *reference);

/* A tuple for each hook: id, name, priority, generation, and whether it has a prepare, parent, child. */
PyObject *native_hooks(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Locks that a fork takes and releases.  No Python code of ours runs between such a call of the lock and the note of
 * it: Python would look for signals there, and a signal handler that raises would leave a lock taken that is not noted.
 */
#ifndef ATFORK_PYTHON_LOCK_H
#define ATFORK_PYTHON_LOCK_H

#include "python.h"

/*
 * Calls lock.acquire(*arguments), unless the fork whose callback runs has the lock.  True: the fork has it.  `held` is
 * a set of (ticket of a fork, id of a lock).  `taken` is a dict of the hook's own: by the tickets, what releases the
 * lock, and what lies in `held` for it.
 */
PyObject *native_take(PyObject *lock, PyObject *arguments, PyObject *held, PyObject *taken);

/* let_go(lock, held, taken, otherwise): releases the lock if the hook has taken it for the fork whose callback runs,
 * and asks for no memory.  If it has not, calls otherwise(lock), unless that is None. */
PyObject *native_let_go(PyObject *module, PyObject *const *values, Py_ssize_t count);

#endif

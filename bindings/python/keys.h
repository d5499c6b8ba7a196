/* SPDX-License-Identifier: MIT */
/*
 * The hooks with keys, by the hashes of the keys.  Only keys_find() runs Python code, as keys are compared by methods
 * of their own.  Such a method may register and unregister hooks, and so may other threads, signal handlers and
 * finalisers while it runs.  The caller runs no Python code between keys_find() and what it changes.
 */
#ifndef ATFORK_PYTHON_KEYS_H
#define ATFORK_PYTHON_KEYS_H

#include "registry.h"

/* Sets the key of a new hook; false with an exception: it has no hash. */
bool keys_set(struct hook *hook, PyObject *key);

/* Finds the hook with an equal key; NULL: there is none.  False with an exception: a key cannot be compared. */
bool keys_find(const struct registry *registry, const struct hook *hook, struct hook **found);

/* These do nothing for a hook without a key.  The first is false with an exception: there is no memory. */
bool keys_add(struct registry *registry, struct hook *hook);
void keys_remove(struct registry *registry, struct hook *hook);

/* When the registry ends. */
void keys_clear(struct registry *registry);

#endif

/* SPDX-License-Identifier: MIT */
/* The callbacks that a fork runs.  They are fixed when the fork begins, whatever is registered and unregistered
 * meanwhile. */
#ifndef ATFORK_PYTHON_PLAN_H
#define ATFORK_PYTHON_PLAN_H

#include "registry.h"

/* The data of a callback. */
struct step {
  struct hook *hook;
  Py_ssize_t prepare; /* the index of the same hook's prepare callback; -1: it has none */
};

/* In run order.  Never changed, and shared by forks.  A child reads nothing but the callbacks. */
struct plan {
  size_t users;
  PyObject *alive; /* the hooks' owners, in a list, so that none is collected during the fork; NULL: there are none */
  Py_ssize_t counts[PHASES];
  PyObject **callbacks[PHASES];
  struct step *steps[PHASES];
};

/* Of these hooks. */
struct filter {
  uint64_t generation; /* only those registered in earlier ones, */
  uint64_t since;      /* or in this one and later ones, */
  uint64_t serial;     /* up to this registration, */
  bool unprepared;     /* without a prepare of Python's */
};

/* NULL with an exception. */
struct plan *plan_new(struct registry *registry, const struct filter *filter);

/* A plan of all hooks: usually the registry's, which stays the same until the table changes. */
struct plan *plan_current(struct registry *registry);

/* Removes the registry's plan before the table changes.  Release it after the change, as this may run Python code. */
struct plan *plan_take(struct registry *registry);

void plan_release(struct plan *plan);

/* For the collector. */
int plan_visit(struct plan *plan, visitproc visit, void *arg);

#endif

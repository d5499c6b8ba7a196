/* SPDX-License-Identifier: MIT */
/*
 * The hooks of one interpreter, in a table.  The module refers to the registry, so the interpreter's end clears it, and
 * the garbage collector visits its hooks.  Called with the GIL held.  No Python code runs while the table changes.
 */
#ifndef ATFORK_PYTHON_REGISTRY_H
#define ATFORK_PYTHON_REGISTRY_H

#include "hook.h"

#include <stdatomic.h>

/* The names of the options of register() that C handles. */
enum { NAME = PHASES, PRIORITY, OPTIONS };

/* See keys.h. */
struct keys {
  struct hook **lists;
  size_t size, count;
  uint64_t changes;
};

struct registry {
  PyObject_HEAD struct registry *next;
  int64_t interpreter;
  bool is_main;
  PyTypeObject *kept_type;
  PyObject *package;   /* atfork */
  PyObject *hook_type; /* these three belong to the package, too */
  PyObject *not_now_type;
  PyObject *register_any;   /* register() for arguments that are not plain functions */
  PyObject *names[OPTIONS]; /* interned */
  PyObject *fork;           /* a context variable: the ticket of the fork under way in this thread or greenlet */
  struct hook **hooks;
  Py_ssize_t count, capacity, holes;
  Py_ssize_t owned; /* how many have owners */
  bool is_sorted;
  atfork_id greatest; /* the greatest id in the table, if it is sorted */
  struct keys keys;
  PyObject *later;   /* a list of hooks with C functions that the core has not yet destroyed */
  struct plan *plan; /* the plan of a fork that begins now; NULL: the table has changed */
  struct frame *frames;
  uint64_t steps_in; /* how often our functions have been registered by os.register_at_fork() */
  uint64_t ticket;   /* of the latest frame */
  uint64_t serial;   /* of the latest registration */
  uint64_t removals;
  uint64_t done; /* the mark of the process whose child callbacks have begun */
};

/* Of all interpreters. */
extern struct registry *registries;

/* Of the latest hook of the main interpreter.  Read inside fork(2), by any thread. */
extern _Atomic uint64_t registry_latest_serial;

/* Of this interpreter; NULL when it is not open, or has ended. */
struct registry *registry_of_interpreter(void);

/* The same; NULL with an exception. */
struct registry *registry_open(void);

/* Adds the hook to the table and to the core; false with an exception.  Runs no Python code. */
bool registry_add(struct registry *registry, struct hook *hook);

/* Removes it from the table: the caller gets the table's reference.  False: it is not in the table. */
bool registry_take_out(struct registry *registry, struct hook *hook);

/* Unregisters a hook that is not in the table from the core: at once, or when the fork of this thread is over. */
void registry_retire(struct registry *registry, struct hook *hook, bool at_once);

/* Releases the hooks that were put off, if no fork is under way.  Never waits. */
void registry_sweep(struct registry *registry);

/* Sorts the table by id, which is the run order, and removes holes. */
void registry_put_in_order(struct registry *registry);

#endif

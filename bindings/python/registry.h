/* SPDX-License-Identifier: MIT */
/*
 * The hooks of one interpreter, in a table.  The module refers to the registry, so that the interpreter's end clears
 * it, and the garbage collector sees through it.  Called with the GIL held; while the table is changed no code of
 * Python's runs.
 */
#ifndef ATFORK_PYTHON_REGISTRY_H
#define ATFORK_PYTHON_REGISTRY_H

#include "hook.h"

#include <stdatomic.h>

/* Of those options of register() that C understands, the names. */
enum { NAME = PHASES, PRIORITY, OPTIONS };

struct registry {
  PyObject_HEAD struct registry *next;
  int64_t interpreter;
  bool is_main;
  PyTypeObject *kept_type;
  PyObject *package;   /* atfork */
  PyObject *hook_type; /* these three are the package's, too */
  PyObject *not_now_type;
  PyObject *register_any;   /* register() for what is not plain */
  PyObject *names[OPTIONS]; /* interned */
  PyObject *fork;           /* a context variable: the ticket of the fork under way in this thread, or greenlet */
  struct hook **hooks;
  Py_ssize_t count, capacity, holes;
  Py_ssize_t owned; /* how many have owners */
  bool is_sorted;
  atfork_id greatest; /* of those in the table, where it is sorted */
  PyObject *keys;     /* key: hook */
  PyObject *later;    /* a list of hooks that have C functions, and that the core has to let go of */
  struct plan *plan;  /* what a fork that begins now runs; NULL when the table has changed */
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

/* Puts the hook into the table, and the core; false with an exception. */
bool registry_add(struct registry *registry, struct hook *hook);

/* Out of the table: the reference that it had is the caller's.  False if it is not there. */
bool registry_take_out(struct registry *registry, struct hook *hook);

/* Has the core forget a hook that is not in the table: at once, or when the fork that this thread is in is over. */
void registry_retire(struct registry *registry, struct hook *hook, bool at_once);

/* Lets go of what was put off, when no fork is under way.  Never waits. */
void registry_sweep(struct registry *registry);

/* In run order, which is that of the ids, and without holes. */
void registry_put_in_order(struct registry *registry);

#endif

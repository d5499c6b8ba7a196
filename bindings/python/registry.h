/* SPDX-License-Identifier: MIT */
/*
 * The hooks of one interpreter.  The module refers to the registry, so that the interpreter's end clears it, and the
 * garbage collector sees through it.  Called with the GIL held; while the table is changed no code of Python's runs.
 */
#ifndef ATFORK_PYTHON_REGISTRY_H
#define ATFORK_PYTHON_REGISTRY_H

#include "hook.h"

/* What is to be known of a callback besides. */
struct step {
  struct hook *hook;
  Py_ssize_t prepare; /* the index of the same hook's among those of that phase, or -1 */
};

/* What a fork runs, in run order.  Never changed, and shared by forks.  A child reads nothing but the callbacks. */
struct plan {
  size_t users;
  bool has_owners;
  Py_ssize_t counts[PHASES];
  PyObject **callbacks[PHASES];
  struct step *steps[PHASES];
};

struct registry {
  PyObject_HEAD struct registry *next;
  int64_t interpreter;
  bool is_main;
  PyTypeObject *hook_type, *kept_type;
  PyObject *names[OPTIONS]; /* of register()'s arguments, interned */
  PyObject *check;          /* the package's, of callbacks */
  PyObject *fork;           /* a context variable: the ticket of the fork under way in this thread, or greenlet */
  struct hook **hooks;
  Py_ssize_t count, capacity, holes;
  bool is_sorted;
  atfork_id greatest; /* of those in the table, where it is sorted */
  PyObject *keys;     /* key: hook */
  PyObject *later;    /* a list of hooks that have C functions, and that the core has to let go of */
  struct plan *plan;  /* what a fork that begins now runs; NULL when the table has changed */
  struct frame *frames;
  uint64_t steps_in; /* how often running.c has registered its functions by os.register_at_fork() */
  uint64_t ticket;   /* of the latest frame */
  uint64_t serial;   /* of the latest registration */
  uint64_t done;     /* the mark (generation + 1) of the process whose child callbacks have begun */
};

/* Of this interpreter; NULL when it is not open, or has ended. */
struct registry *registry_of_interpreter(void);

/* hook_type: the module's.  check: as for hook_fill().  A new reference for the module to keep; None if there was one
 * before. */
PyObject *native_open(PyObject *hook_type, PyObject *check);

/* register(): keywords only. */
PyObject *native_register(PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *names);

/* The same for a hook that a subclass has made: its child. */
PyObject *native_attach(PyObject *hook, PyObject *child);

/*
 * Takes the hook out, and waits for the forks under way in other threads; inside a callback it does not wait.  False if
 * it was not there.
 */
bool registry_remove(struct hook *hook);

/* What a fork runs that is made of these hooks. */
struct filter {
  uint64_t generation; /* only those registered in earlier ones, */
  uint64_t since;      /* or in this one and later ones, */
  uint64_t serial;     /* up to this registration, */
  bool unprepared;     /* without a prepare of Python's */
};

/* NULL with an exception. */
struct plan *registry_plan(struct registry *registry, const struct filter *filter);

/* Of all hooks, none of which has lost its owner; put into `alive`, so that they stay. */
struct plan *registry_current_plan(struct registry *registry, PyObject **alive);

void plan_release(struct plan *plan);

/* Lets go of what was put off, when no fork is under way.  Never waits. */
void registry_sweep(struct registry *registry);

/* A tuple for each hook: id, name, priority, generation, and whether it has a prepare, parent, child. */
PyObject *native_hooks(void);

#endif

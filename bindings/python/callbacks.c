/* SPDX-License-Identifier: MIT */
#include "callbacks.h"

#include "due.h"

/* ---- Errors ---- */

/* The package's on_error; NULL when it is None. */
static PyObject *error_handler(const struct registry *registry) {
  PyObject *handler = attribute(registry->package, "on_error");
  if (handler == NULL) PyErr_Clear();
  if (handler == Py_None) Py_CLEAR(handler);
  return handler;
}

/* False: there is no handler, or it has raised. */
static bool handle(const struct registry *registry, PyObject *error, struct hook *hook, const char *phase) {
  PyObject *handler = error_handler(registry);
  if (handler == NULL) return false;
  PyObject *result = PyObject_CallFunction(handler, "OOs", error, hook == NULL ? Py_None : (PyObject *)hook, phase);
  bool is_handled = result != NULL;
  if (!is_handled) PyErr_WriteUnraisable(handler);
  Py_XDECREF(result);
  Py_DECREF(handler);
  return is_handled;
}

static void report(const struct registry *registry, struct hook *hook, PyObject *callback, const char *phase) {
  PyObject *error = take_exception();
  if (handle(registry, error, hook, phase)) {
    Py_DECREF(error);
    return;
  }
  give_exception_back(error);
  PyErr_WriteUnraisable(PyTuple_CheckExact(callback) ? PyTuple_GET_ITEM(callback, 1) : callback);
}

static inline PyObject *run_one(const struct registry *registry, const struct plan *plan, enum phase phase,
                                Py_ssize_t i) {
  PyObject *callback = plan->callbacks[phase][i];
  PyObject *result = hook_call(callback);
  if (result == NULL) report(registry, plan->steps[phase][i].hook, callback, phase_names[phase]);
  return result;
}

/* ---- Before the fork ---- */

/* Calls `parent` of the hooks prepared so far, in run order, as after a fork. */
static void undo(const struct registry *registry, struct frame *frame) {
  const struct plan *plan = frame->plan;
  for (Py_ssize_t i = 0; i < plan->counts[PARENT]; i++) {
    frame->running = &plan->steps[PARENT][i];
    Py_ssize_t prepare = frame->running->prepare;
    if (prepare >= 0 && frame->prepared[prepare] == PREPARED) Py_XDECREF(run_one(registry, plan, PARENT, i));
  }
  frame->running = NULL;
  for (Py_ssize_t i = 0; i < plan->counts[PREPARE]; i++)
    if (frame->prepared[i] == PREPARED) frame->prepared[i] = NOT_PREPARED;
}

/* Called with nothing else prepared. wait() returns after a while; true: it has taken the lock. */
static bool wait_for(const struct registry *registry, struct frame *frame, Py_ssize_t i, PyObject *not_now) {
  for (uint64_t removals = registry->removals; registry->removals == removals;) {
    PyObject *wait = attribute(not_now, "wait");
    PyObject *result = wait == NULL ? NULL : PyObject_CallNoArgs(wait);
    int taken = result == NULL ? -1 : PyObject_IsTrue(result);
    Py_XDECREF(result);
    Py_XDECREF(wait);
    if (taken == 0) continue;
    frame->prepared[i] = taken > 0 ? PREPARED : RAISED;
    if (taken < 0)
      report(registry, frame->plan->steps[PREPARE][i].hook, frame->plan->callbacks[PREPARE][i], phase_names[PREPARE]);
    return true;
  }
  return false;
}

bool run_prepare(struct registry *registry, struct frame *frame) {
  for (Py_ssize_t i = frame->plan->counts[PREPARE]; i-- > 0;) {
    if (frame->prepared[i] != NOT_PREPARED) continue;
    PyObject *result = run_one(registry, frame->plan, PREPARE, i);
    bool is_refused = result != NULL && (PyObject *)Py_TYPE(result) == registry->not_now_type;
    frame->prepared[i] = (char)(result == NULL ? RAISED : is_refused ? NOT_PREPARED : PREPARED);
    if (is_refused) {
      undo(registry, frame);
      bool is_settled = wait_for(registry, frame, i, result);
      Py_DECREF(result);
      if (!is_settled) return false;
      i = frame->plan->counts[PREPARE];
    } else {
      Py_XDECREF(result);
    }
  }
  return true;
}

/* ---- After it ---- */

/*
 * A child's first write to an object copies its page, and a call writes to the object that it calls.  Copying all these
 * pages first takes a tenth less time than copying one before each call.
 */
static void take_references(PyObject *const *callbacks, Py_ssize_t count) {
  for (Py_ssize_t i = 0; i < count; i++) Py_INCREF(callbacks[i]);
}

/* If a child callback forks, the new child runs all callbacks itself.  When it returns here, this phase is over. */
int run_after(struct registry *registry, struct frame *frame, enum phase phase) {
  const struct plan *plan = frame->plan;
  Py_ssize_t count = plan->counts[phase], ran = 0;
  uint64_t mark = due_mark();
  take_references(plan->callbacks[phase], count);
  for (Py_ssize_t i = 0; i < count; i++) {
    if (phase == PARENT || due_mark() == mark) {
      frame->running = &plan->steps[phase][i];
      Py_XDECREF(run_one(registry, plan, phase, i));
      ran++;
    }
    Py_DECREF(plan->callbacks[phase][i]);
  }
  frame->running = NULL;
  return (int)ran;
}

/* ---- For callbacks ---- */

PyObject *native_report(PyObject *error, PyObject *callback, PyObject *phase) {
  const struct registry *registry = registry_open();
  const char *name = registry == NULL ? NULL : PyUnicode_AsUTF8(phase);
  if (name == NULL) return NULL;
  give_exception_back(Py_NewRef(error));
  report(registry, NULL, callback, name);
  Py_RETURN_NONE;
}

PyObject *native_prepared(void) {
  const struct registry *registry = registry_of_interpreter();
  const struct frame *frame = registry == NULL ? NULL : frame_own(registry);
  if (frame == NULL || frame->running == NULL)
    return PyErr_Format(PyExc_RuntimeError, "prepared() may be called only in a parent or child callback");
  Py_ssize_t prepare = frame->running->prepare;
  if (prepare >= 0) return PyBool_FromLong(frame->prepared[prepare] == PREPARED);
  return PyBool_FromLong(frame->running->hook->callbacks[PREPARE] != NULL && frame->prepared_in_c);
}

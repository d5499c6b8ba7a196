/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include "frame.h"

static unsigned long long ticket_of_fork(void) {
  const struct registry *registry = registry_of_interpreter();
  const struct frame *frame = registry == NULL ? NULL : frame_own(registry);
  return frame == NULL ? 0 : frame->ticket;
}

/* Keeps an exception that is set. */
static void forget(PyObject *held, PyObject *taken, PyObject *ticket, PyObject *entry) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (PySet_Discard(held, entry) < 0 || PyDict_DelItem(taken, ticket) < 0) PyErr_Clear();
  PyErr_Restore(type, value, traceback);
}

/* 1: it has; 0: it has not; -1: an exception. */
static int acquire(PyObject *lock, PyObject *arguments) {
  PyObject *method = attribute(lock, "acquire");
  PyObject *result = method == NULL ? NULL : PyObject_CallObject(method, arguments);
  int is_taken = result == NULL ? -1 : PyObject_IsTrue(result);
  Py_XDECREF(method);
  Py_XDECREF(result);
  return is_taken;
}

static bool note(PyObject *lock, PyObject *held, PyObject *taken, PyObject *ticket, PyObject *entry) {
  PyObject *release = attribute(lock, "release");
  PyObject *both = release == NULL ? NULL : PyTuple_Pack(2, release, entry);
  bool is_noted = both != NULL && PySet_Add(held, entry) == 0 && PyDict_SetItem(taken, ticket, both) == 0;
  Py_XDECREF(both);
  Py_XDECREF(release);
  return is_noted;
}

/* Notes it first, as nothing may fail any more once the lock is taken. */
static int note_and_acquire(PyObject *lock, PyObject *arguments, PyObject *held, PyObject *taken, PyObject *ticket,
                            PyObject *entry) {
  int is_taken = note(lock, held, taken, ticket, entry) ? acquire(lock, arguments) : -1;
  if (is_taken != 1) forget(held, taken, ticket, entry);
  return is_taken;
}

PyObject *native_take(PyObject *lock, PyObject *arguments, PyObject *held, PyObject *taken) {
  PyObject *ticket = PyLong_FromUnsignedLongLong(ticket_of_fork());
  PyObject *id = PyLong_FromVoidPtr(lock);
  PyObject *entry = ticket == NULL || id == NULL ? NULL : PyTuple_Pack(2, ticket, id);
  int is_held = entry == NULL ? -1 : PySet_Contains(held, entry);
  if (is_held == 0) is_held = note_and_acquire(lock, arguments, held, taken, ticket, entry);
  Py_XDECREF(entry);
  Py_XDECREF(id);
  Py_XDECREF(ticket);
  return is_held < 0 ? NULL : PyBool_FromLong(is_held);
}

static PyObject *release(PyObject *held, PyObject *taken, PyObject *ticket, PyObject *both) {
  Py_INCREF(ticket);
  Py_INCREF(both);
  PyObject *result = PyObject_CallNoArgs(PyTuple_GET_ITEM(both, 0));
  forget(held, taken, ticket, PyTuple_GET_ITEM(both, 1));
  Py_DECREF(both);
  Py_DECREF(ticket);
  return result;
}

PyObject *native_let_go(PyObject *module, PyObject *const *values, Py_ssize_t count) {
  (void)module;
  enum { LOCK, HELD, TAKEN, OTHERWISE, VALUES };
  if (count != VALUES) return PyErr_Format(PyExc_TypeError, "let_go() takes %d arguments", VALUES);
  unsigned long long own = ticket_of_fork();
  PyObject *ticket, *both;
  Py_ssize_t at = 0;
  while (PyDict_Next(values[TAKEN], &at, &ticket, &both))
    if (PyLong_AsUnsignedLongLong(ticket) == own) return release(values[HELD], values[TAKEN], ticket, both);
  if (values[OTHERWISE] == Py_None) Py_RETURN_NONE;
  return PyObject_CallFunctionObjArgs(values[OTHERWISE], values[LOCK], NULL);
}

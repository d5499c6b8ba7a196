/* SPDX-License-Identifier: MIT */
#include "register.h"

#include "frame.h"
#include "keys.h"
#include "watch.h"

/* ---- Registering ---- */

/* `before` is NULL, or the hook with the same key.  It stays if the new one cannot be registered. */
static bool put_in_place_of(struct registry *registry, struct hook *hook, struct hook *before) {
  if (!keys_add(registry, hook)) return false;
  bool is_added = registry_add(registry, hook);
  struct hook *leaving = is_added ? before : hook;
  if (leaving != NULL) keys_remove(registry, leaving);
  if (is_added && before != NULL) registry_take_out(registry, before);
  return is_added;
}

/* Registers the hook.  *before is the hook that it has replaced, which has left the table; NULL: there was none. */
static bool enter(struct registry *registry, struct hook *hook, struct hook **before) {
  registry_sweep(registry); /* first, as it may run Python code */
  if (!keys_find(registry, hook, before)) return false;
  struct plan *plan = plan_take(registry);
  bool is_added = put_in_place_of(registry, hook, *before);
  plan_release(plan);
  return is_added;
}

static bool is_plain_name(PyObject *name) {
  return PyUnicode_CheckExact(name) && PyUnicode_IS_COMPACT_ASCII(name) &&
         memchr(PyUnicode_DATA(name), 0, (size_t)PyUnicode_GET_LENGTH(name)) == NULL;
}

static bool is_plain_priority(PyObject *priority) {
  int overflow = 0;
  if (!PyLong_CheckExact(priority)) return false;
  long value = PyLong_AsLongAndOverflow(priority, &overflow);
  return overflow == 0 && value >= ATFORK_PRIORITY_MIN && value <= ATFORK_PRIORITY_MAX;
}

static bool is_plain(int option, PyObject *value) {
  return option == NAME       ? is_plain_name(value)
         : option == PRIORITY ? is_plain_priority(value)
                              : PyFunction_Check(value);
}

/* Names in a call are interned. */
static bool take_options(PyObject *options[OPTIONS], const struct registry *registry, PyObject *const *values,
                         PyObject *names) {
  bool has_callback = false;
  for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
    int option = 0;
    while (option < OPTIONS && PyTuple_GET_ITEM(names, i) != registry->names[option]) option++;
    if (option == OPTIONS || !is_plain(option, values[i])) return false;
    options[option] = values[i];
    has_callback |= option < PHASES;
  }
  return has_callback;
}

static struct hook *new_hook(const struct registry *registry) {
  struct hook *hook = PyObject_New(struct hook, (PyTypeObject *)registry->hook_type);
  if (hook != NULL) memset((char *)hook + sizeof(PyObject), 0, sizeof *hook - sizeof(PyObject));
  return hook;
}

PyObject *native_register(PyObject *module, PyObject *const *values, Py_ssize_t count, PyObject *names) {
  (void)module;
  struct registry *registry = registry_open();
  PyObject *options[OPTIONS] = {NULL};
  if (registry == NULL) return NULL;
  if (count != 0 || !take_options(options, registry, values, names))
    return PyObject_Vectorcall(registry->register_any, values, (size_t)count, names);
  struct hook *hook = new_hook(registry);
  if (hook == NULL) return NULL;
  hook->name = options[NAME] == NULL ? PyUnicode_FromStringAndSize(NULL, 0) : Py_NewRef(options[NAME]);
  hook->priority = options[PRIORITY] == NULL ? 0 : (int)PyLong_AsLong(options[PRIORITY]);
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    if (options[phase] != NULL) hook_take(hook, phase, options[phase]);
  struct hook *before; /* NULL, as there is no key */
  if (enter(registry, hook, &before)) return (PyObject *)hook;
  Py_DECREF((PyObject *)hook);
  return NULL;
}

static bool take_callbacks(struct hook *hook, PyObject *callbacks) {
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    PyObject *callback = PyTuple_GET_ITEM(callbacks, phase);
    if (callback != Py_None && !hook_take(hook, phase, callback)) return false;
  }
  return true;
}

/* ---- Unregistering ---- */

/* The hook is out of the table, and its key free, before this waits. */
static bool take_out(struct registry *registry, struct hook *hook) {
  if (registry == NULL || !registry_take_out(registry, hook)) return false;
  keys_remove(registry, hook);
  plan_release(plan_take(registry));
  return true;
}

/* Without the GIL: this may wait for a fork in C, which may wait for the GIL. */
static void leave_core_and_wait(const struct hook *hook) {
  atfork_id id = hook->id;
  Py_BEGIN_ALLOW_THREADS;
  atfork_unregister(id);
  Py_END_ALLOW_THREADS;
}

/* For a hook that is out of the table. */
static void leave(struct registry *registry, struct hook *hook) {
  bool is_inside = frame_is_here(registry);
  if (!is_inside) frame_wait(registry, hook->serial);
  if (is_inside && hook->c_calls != NULL) {
    registry_retire(registry, hook, false);
  } else {
    leave_core_and_wait(hook);
    hook_let_go(hook);
  }
  Py_DECREF((PyObject *)hook); /* the table's */
}

PyObject *native_unregister(PyObject *self) {
  struct registry *registry = registry_of_interpreter();
  if (!take_out(registry, (struct hook *)self)) Py_RETURN_FALSE;
  leave(registry, (struct hook *)self);
  Py_RETURN_TRUE;
}

PyObject *native_forget(PyObject *self, PyObject *reference) {
  (void)reference;
  struct registry *registry = registry_of_interpreter();
  if (!take_out(registry, (struct hook *)self)) Py_RETURN_FALSE;
  registry_retire(registry, (struct hook *)self, true);
  Py_DECREF(self); /* the table's */
  Py_RETURN_TRUE;
}

/* ---- Registering what is not plain ---- */

static bool fill(struct hook *hook, PyObject *name, PyObject *priority, PyObject *key, PyObject *owners,
                 PyObject *callbacks) {
  hook->name = Py_NewRef(name);
  hook->priority = (int)PyLong_AsLong(priority);
  hook->owners = owners == Py_None ? NULL : Py_NewRef(owners);
  return (key == Py_None || keys_set(hook, key)) && take_callbacks(hook, callbacks);
}

PyObject *native_enter(PyObject *self, PyObject *name, PyObject *priority, PyObject *key, PyObject *owners,
                       PyObject *callbacks) {
  struct registry *registry = registry_open();
  struct hook *hook = (struct hook *)self;
  if (registry == NULL) return NULL;
  if (!PyObject_TypeCheck(self, (PyTypeObject *)registry->hook_type) || hook->name != NULL)
    return PyErr_Format(PyExc_TypeError, "a new hook is needed");
  struct hook *before;
  if (!fill(hook, name, priority, key, owners, callbacks) || !enter(registry, hook, &before)) {
    hook_let_go(hook);
    return NULL;
  }
  if (before != NULL) leave(registry, before);
  Py_RETURN_NONE;
}

/* ---- Listing ---- */

/* Appends a hook to the list, as a tuple; non-zero with an exception. */
static int append(const struct atfork_info *info, void *list) {
  const struct atfork_hook *hook = &info->hook;
  if (watch_is_own(hook)) return 0;
  PyObject *name = PyUnicode_DecodeUTF8(hook->name, (Py_ssize_t)strlen(hook->name), "replace");
  if (name == NULL) return 1;
  bool prepares = hook->prepare != NULL || hook->try_prepare != NULL;
  PyObject *fields = Py_BuildValue("KNiKNNN", (unsigned long long)info->id, name, hook->priority,
                                   (unsigned long long)info->generation, PyBool_FromLong(prepares),
                                   PyBool_FromLong(hook->parent != NULL), PyBool_FromLong(hook->child != NULL));
  int error = fields == NULL ? -1 : PyList_Append(list, fields);
  Py_XDECREF(fields);
  return error == 0 ? 0 : 1;
}

PyObject *native_hooks(void) {
  PyObject *list = PyList_New(0);
  if (list != NULL && atfork_foreach(append, list) != 0) Py_CLEAR(list);
  return list;
}

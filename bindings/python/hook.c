/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <structmember.h>

#include "registry.h"
#include "slot.h"

/* ---- C functions ---- */

typedef void (*c_function)(void *data);

/* The core has one `data` for a hook; each function may have its own. */
struct c_calls {
  struct {
    c_function function;
    void *data;
  } of[PHASES];
  atomic_bool is_over;
};

static void call(const struct c_calls *calls, enum phase phase) {
  calls->of[phase].function(calls->of[phase].data);
}

static void call_prepare(void *calls) {
  call(calls, PREPARE);
}

static void call_parent(void *calls) {
  call(calls, PARENT);
}

static void call_child(void *calls) {
  call(calls, CHILD);
}

/* In any thread, without the GIL.  Release pairs with the acquire in hook_is_over(). */
static void end_calls(void *calls) {
  atomic_store_explicit(&((struct c_calls *)calls)->is_over, true, memory_order_release);
}

bool hook_is_over(const struct hook *hook) {
  return hook->c_calls == NULL || atomic_load_explicit(&hook->c_calls->is_over, memory_order_acquire);
}

/* `where` is (address, data). */
static bool take_c_function(struct hook *hook, enum phase phase, PyObject *where) {
  if (hook->c_calls == NULL) hook->c_calls = PyMem_RawCalloc(1, sizeof *hook->c_calls);
  if (hook->c_calls == NULL) return PyErr_NoMemory() != NULL;
  uintptr_t address = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(where, 0));
  uintptr_t data = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(where, 1));
  hook->c_calls->of[phase].function = (c_function)address;
  hook->c_calls->of[phase].data = (void *)data;
  return !PyErr_Occurred();
}

/* ---- Owners ---- */

PyObject *weakly(PyObject *reference) {
#if PY_VERSION_HEX >= 0x030d0000
  PyObject *object = NULL;
  PyWeakref_GetRef(reference, &object);
  return object;
#else
  PyObject *object = PyWeakref_GetObject(reference);
  return object == Py_None ? NULL : Py_NewRef(object);
#endif
}

static PyObject *known_owner(const struct hook *hook, PyObject *object) {
  for (Py_ssize_t i = 0; hook->owners != NULL && i < PyList_GET_SIZE(hook->owners); i++) {
    PyObject *reference = PyList_GET_ITEM(hook->owners, i);
    PyObject *known = weakly(reference);
    Py_XDECREF(known);
    if (known == object) return reference;
  }
  return NULL;
}

/* A borrowed reference to a weak one; NULL with an exception, a TypeError for what allows none. */
static PyObject *add_owner(struct hook *hook, PyObject *object, PyMethodDef *forget) {
  PyObject *reference = known_owner(hook, object);
  if (reference != NULL) return reference;
  if (hook->owners == NULL) hook->owners = PyList_New(0);
  PyObject *callback = hook->owners == NULL ? NULL : PyCFunction_New(forget, (PyObject *)hook);
  reference = callback == NULL ? NULL : PyWeakref_NewRef(object, callback);
  Py_XDECREF(callback);
  if (reference == NULL) return NULL;
  int error = PyList_Append(hook->owners, reference);
  Py_DECREF(reference); /* the list's */
  return error == 0 ? reference : NULL;
}

/*
 * A bound method is held together with its object, weakly; so is one of `owner`, where that is given.  One whose object
 * allows no weak reference is held as any callable.
 */
static bool take_method(struct hook *hook, enum phase phase, PyObject *method, PyObject *owner, PyMethodDef *forget) {
  PyObject *object = PyMethod_GET_SELF(method);
  PyObject *reference = owner == NULL || owner == object ? add_owner(hook, object, forget) : NULL;
  if (reference == NULL && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) return false;
  PyErr_Clear();
  hook->callbacks[phase] =
      reference == NULL ? Py_NewRef(method) : PyTuple_Pack(2, reference, PyMethod_GET_FUNCTION(method));
  return hook->callbacks[phase] != NULL;
}

PyObject *hook_call_method(PyObject *weak_method) {
  PyObject *object = weakly(PyTuple_GET_ITEM(weak_method, 0));
  if (object == NULL) Py_RETURN_NONE;
  PyObject *result = PyObject_CallOneArg(PyTuple_GET_ITEM(weak_method, 1), object);
  Py_DECREF(object);
  return result;
}

/* ---- Filling in ---- */

static bool take_checked(struct hook *hook, enum phase phase, PyObject *value, PyObject *check) {
  PyObject *checked = PyObject_CallFunction(check, "sO", phase_names[phase], value);
  if (checked == NULL) return false;
  hook->is_python[phase] = !PyTuple_CheckExact(checked);
  bool taken = hook->is_python[phase] || take_c_function(hook, phase, checked);
  Py_DECREF(checked);
  hook->callbacks[phase] = Py_NewRef(value);
  return taken;
}

static bool take_callback(struct hook *hook, enum phase phase, const struct hook_options *options, PyObject *check,
                          PyMethodDef *forget) {
  PyObject *value = options->of[phase];
  if (value == NULL) return true;
  if (!PyFunction_Check(value) && !PyMethod_Check(value)) return take_checked(hook, phase, value, check);
  hook->is_python[phase] = true;
  if (PyMethod_Check(value)) return take_method(hook, phase, value, options->of[OWNER], forget);
  hook->callbacks[phase] = Py_NewRef(value);
  return true;
}

static bool take_callbacks(struct hook *hook, const struct hook_options *options, PyObject *check,
                           PyMethodDef *forget) {
  bool has_any = false;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    if (!take_callback(hook, phase, options, check, forget)) return false;
    has_any |= hook->callbacks[phase] != NULL;
  }
  if (!has_any) PyErr_SetString(PyExc_TypeError, "at least one of prepare, parent and child is required");
  return has_any;
}

static bool take_owner(struct hook *hook, PyObject *owner, PyMethodDef *forget) {
  if (owner == NULL || add_owner(hook, owner, forget) != NULL) return true;
  if (PyErr_ExceptionMatches(PyExc_TypeError))
    PyErr_Format(PyExc_TypeError, "owner must allow weak references, and %s does not", Py_TYPE(owner)->tp_name);
  return false;
}

static bool take_name(struct hook *hook, PyObject *name) {
  if (name == NULL) return true;
  if (!PyUnicode_Check(name)) {
    PyErr_Format(PyExc_TypeError, "name must be str, not %s", Py_TYPE(name)->tp_name);
    return false;
  }
  if (PyUnicode_FindChar(name, 0, 0, PyUnicode_GET_LENGTH(name), 1) >= 0) {
    PyErr_SetString(PyExc_ValueError, "name contains a null character");
    return false;
  }
  hook->name = Py_NewRef(name);
  return PyUnicode_AsUTF8(name) != NULL;
}

static bool take_priority(struct hook *hook, PyObject *priority) {
  if (priority == NULL) return true;
  PyObject *index = PyNumber_Index(priority);
  if (index == NULL) {
    if (PyErr_ExceptionMatches(PyExc_TypeError))
      PyErr_Format(PyExc_TypeError, "priority must be int, not %s", Py_TYPE(priority)->tp_name);
    return false;
  }
  int overflow = 0;
  long value = PyLong_AsLongAndOverflow(index, &overflow);
  Py_DECREF(index);
  if (overflow != 0 || value < ATFORK_PRIORITY_MIN || value > ATFORK_PRIORITY_MAX) {
    PyErr_Format(PyExc_ValueError, "priority must be from %d to %d", ATFORK_PRIORITY_MIN, ATFORK_PRIORITY_MAX);
    return false;
  }
  hook->priority = (int)value;
  return true;
}

bool hook_fill(struct hook *hook, const struct hook_options *options, PyObject *check, PyMethodDef *forget) {
  PyObject *key = options->of[KEY];
  if (key != NULL && PyObject_Hash(key) == -1) return false;
  hook->key = key == NULL ? NULL : Py_NewRef(key);
  return take_name(hook, options->of[NAME]) && take_callbacks(hook, options, check, forget) &&
         take_owner(hook, options->of[OWNER], forget) && take_priority(hook, options->of[PRIORITY]);
}

bool hook_enter_core(struct hook *hook, c_function python) {
  static const c_function c_calls[PHASES] = {call_prepare, call_parent, call_child};
  c_function functions[PHASES];
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    functions[phase] = hook->callbacks[phase] == NULL ? NULL : hook->is_python[phase] ? python : c_calls[phase];
  struct atfork_hook core = {
      .name = hook->name == NULL ? NULL : PyUnicode_AsUTF8(hook->name),
      .priority = hook->priority,
      .prepare = functions[PREPARE],
      .parent = functions[PARENT],
      .child = functions[CHILD],
      .data = hook->c_calls,
      .destroy = hook->c_calls == NULL ? NULL : end_calls,
  };
  hook->id = atfork_register(&core);
  if (hook->id != 0) return true;
  if (errno == ENOMEM)
    PyErr_NoMemory();
  else
    PyErr_SetFromErrno(PyExc_OSError);
  return false;
}

void hook_let_go(struct hook *hook) {
  Py_CLEAR(hook->key);
  Py_CLEAR(hook->owners);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) Py_CLEAR(hook->callbacks[phase]);
}

/* ---- The type ---- */

static const char type_name[] = "atfork.Hook";

/* What register() makes it makes itself; a subclass enters its own by attach(). */
static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *keywords) {
  (void)args;
  (void)keywords;
  if (type->tp_new == make && strcmp(type->tp_name, type_name) == 0) {
    PyErr_SetString(PyExc_TypeError, "register() makes hooks");
    return NULL;
  }
  struct hook *hook = (struct hook *)type->tp_alloc(type, 0);
  if (hook != NULL) hook->place = -1;
  return (PyObject *)hook;
}

/* Where the core may still call C functions, their table stays. */
static void dealloc(PyObject *self) {
  struct hook *hook = (struct hook *)self;
  if (hook->weak_references != NULL) PyObject_ClearWeakRefs(self);
  hook_let_go(hook);
  if (hook->id == 0 || hook_is_over(hook)) PyMem_RawFree(hook->c_calls);
  Py_XDECREF(hook->name);
  PyTypeObject *type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF((PyObject *)type);
}

static PyObject *get_name(PyObject *self, void *unused) {
  (void)unused;
  PyObject *name = ((struct hook *)self)->name;
  return name == NULL ? PyUnicode_FromStringAndSize(NULL, 0) : Py_NewRef(name);
}

static PyObject *show(PyObject *self) {
  struct hook *hook = (struct hook *)self;
  char id[24]; /* as PyUnicode_FromFormat() has no %llx before Python 3.12 */
  snprintf(id, sizeof id, "%#llx", (unsigned long long)hook->id);
  PyObject *name = get_name(self, NULL);
  PyObject *text =
      name == NULL ? NULL : PyUnicode_FromFormat("<atfork.Hook %R priority=%d id=%s>", name, hook->priority, id);
  Py_XDECREF(name);
  return text;
}

static PyObject *get_id(PyObject *self, void *unused) {
  (void)unused;
  return PyLong_FromUnsignedLongLong(((struct hook *)self)->id);
}

static PyObject *unregister(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyBool_FromLong(registry_remove((struct hook *)self));
}

static PyObject *enter(PyObject *self, PyObject *unused) {
  (void)unused;
  return Py_NewRef(self);
}

static PyObject *leave(PyObject *self, PyObject *unused) {
  (void)unused;
  registry_remove((struct hook *)self);
  Py_RETURN_NONE;
}

static PyObject *reduce(PyObject *self, PyObject *unused) {
  (void)unused;
  const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
  return PyErr_Format(PyExc_TypeError,
                      "cannot pickle or copy %s objects: a hook is this process's own; register another there",
                      name == NULL ? Py_TYPE(self)->tp_name : name + 1);
}

static PyGetSetDef attributes[] = {
    {"id", get_id, NULL, "As hooks() lists it; never given again to another hook.", NULL},
    {"name", get_name, NULL, "For people.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"priority", T_INT, offsetof(struct hook, priority), READONLY, "From -32768 to 32767."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct hook, weak_references), READONLY, NULL},
    {"key", T_OBJECT, offsetof(struct hook, key), READONLY,
     "A later hook of the same key replaces this one.  None: it has none, or is unregistered."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"unregister", unregister, METH_NOARGS,
     "unregister($self, /)\n--\n\n"
     "Takes the hook back: True, or False if that was done before.\n\n"
     "Afterwards none of its callbacks is running or will run: it waits for forks under way in other threads.  Inside\n"
     "a callback it does not wait, and the hook still gets the rest of the fork that is under way."},
    {"__enter__", enter, METH_NOARGS, "__enter__($self, /)\n--\n\n"},
    {"__exit__", leave, METH_VARARGS, "__exit__($self, /, *error)\n--\n\nTakes the hook back."},
    {"__reduce__", reduce, METH_NOARGS,
     "__reduce__($self, /)\n--\n\n"
     "Refuses: in another process the id names another hook, and here a copy could take this hook back."},
    {NULL, NULL, 0, NULL},
};

static char doc[] = "What register() returns.  As a context manager it is taken back at the end of the block.";

static PyType_Slot slots[] = {
    {Py_tp_doc, doc},           {Py_tp_new, SLOT(make)},  {Py_tp_dealloc, SLOT(dealloc)}, {Py_tp_repr, SLOT(show)},
    {Py_tp_getset, attributes}, {Py_tp_members, members}, {Py_tp_methods, methods},       {0, NULL},
};

static PyType_Spec spec = {
    .name = type_name,
    .basicsize = sizeof(struct hook),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

PyObject *hook_make_type(void) {
  return PyType_FromSpec(&spec);
}

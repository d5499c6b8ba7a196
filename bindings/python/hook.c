/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <structmember.h>

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

/* The core's callback for a callable, which fork.c calls.  It does nothing, but gives the hook its place in the
 * order. */
static void leave_to_python(void *unused) {
  (void)unused;
}

/* Called in any thread, without the GIL. The release pairs with the acquire in hook_is_over(). */
static void end_calls(void *calls) {
  atomic_store_explicit(&((struct c_calls *)calls)->is_over, true, memory_order_release);
}

bool hook_is_over(const struct hook *hook) {
  return hook->c_calls == NULL || atomic_load_explicit(&hook->c_calls->is_over, memory_order_acquire);
}

static bool take_c_function(struct hook *hook, enum phase phase, PyObject *where) {
  if (hook->c_calls == NULL) hook->c_calls = PyMem_RawCalloc(1, sizeof *hook->c_calls);
  if (hook->c_calls == NULL) return PyErr_NoMemory() != NULL;
  uintptr_t address = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(where, 0));
  uintptr_t data = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(where, 1));
  hook->c_calls->of[phase].function = (c_function)address;
  hook->c_calls->of[phase].data = (void *)data;
  return !PyErr_Occurred();
}

/* ---- What it calls ---- */

bool hook_take(struct hook *hook, enum phase phase, PyObject *callback) {
  hook->callbacks[phase] = Py_NewRef(callback);
  hook->is_python[phase] = !PyTuple_CheckExact(callback) || PyTuple_GET_SIZE(callback) == 2;
  return hook->is_python[phase] || take_c_function(hook, phase, callback);
}

bool hook_enter_core(struct hook *hook) {
  static const c_function c_calls[PHASES] = {call_prepare, call_parent, call_child};
  c_function functions[PHASES] = {NULL};
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    functions[phase] = hook->callbacks[phase] == NULL ? NULL
                       : hook->is_python[phase]       ? leave_to_python
                                                      : c_calls[phase];
  struct atfork_hook core = {
      .name = PyUnicode_AsUTF8(hook->name),
      .priority = hook->priority,
      .prepare = functions[PREPARE],
      .parent = functions[PARENT],
      .child = functions[CHILD],
      .data = hook->c_calls,
      .destroy = hook->c_calls == NULL ? NULL : end_calls,
  };
  if (core.name == NULL) return false;
  hook->id = atfork_register(&core);
  if (hook->id == 0) PyErr_SetFromErrno(errno == ENOMEM ? PyExc_MemoryError : PyExc_OSError);
  return hook->id != 0;
}

static int unregister_inside(const struct atfork_info *info, void *hook) {
  (void)info;
  atfork_unregister(((const struct hook *)hook)->id);
  return 1;
}

/* Inside a walk the core does not wait: forks that still call the hook's C functions destroy the hook at their end. */
void hook_leave_core(const struct hook *hook) {
  atfork_foreach(unregister_inside, (void *)(uintptr_t)hook);
}

void hook_let_go(struct hook *hook) {
  Py_CLEAR(hook->key);
  Py_CLEAR(hook->owners);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) Py_CLEAR(hook->callbacks[phase]);
}

int hook_visit(struct hook *hook, visitproc visit, void *arg) {
  int stopped = visit((PyObject *)hook, arg);
  if (stopped != 0) return stopped;
  if (!PyObject_IS_GC((PyObject *)hook)) Py_VISIT((PyObject *)Py_TYPE(hook));
  Py_VISIT(hook->key);
  Py_VISIT(hook->owners);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) Py_VISIT(hook->callbacks[phase]);
  return 0;
}

/* ---- The type ---- */

/* If the core may still call C functions, their table is kept. */
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

static PyMemberDef members[] = {
    {"id", T_ULONGLONG, offsetof(struct hook, id), READONLY, "As in hooks(); no other hook ever gets this id."},
    {"name", T_OBJECT, offsetof(struct hook, name), READONLY, "The name, for people."},
    {"priority", T_INT, offsetof(struct hook, priority), READONLY, "From -32768 to 32767."},
    {"key", T_OBJECT, offsetof(struct hook, key), READONLY,
     "A later hook with an equal key replaces this one.  None: it has no key, or is unregistered."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct hook, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static char doc[] = "What register() returns.  As a context manager, it is unregistered at the end of the block.";

static PyType_Slot slots[] = {{Py_tp_doc, doc}, {Py_tp_dealloc, SLOT(dealloc)}, {Py_tp_members, members}, {0, NULL}};

/* Not a static type, which would keep objects of an interpreter that has ended. */
static PyType_Spec spec = {
    .name = "atfork.Hook",
    .basicsize = sizeof(struct hook),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

PyObject *native_make_hook_type(void) {
  return PyType_FromSpec(&spec);
}

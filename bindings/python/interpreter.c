/* SPDX-License-Identifier: MIT */
#include "interpreter.h"

#include "due.h"
#include "fork.h"
#include "kept.h"
#include "keys.h"
#include "plan.h"
#include "watch.h"

/* ---- Its end, and the garbage collector ---- */

static int traverse(PyObject *self, visitproc visit, void *arg) {
  struct registry *registry = (struct registry *)self;
  int result = registry->plan == NULL ? 0 : plan_visit(registry->plan, visit, arg);
  for (Py_ssize_t i = 0; result == 0 && i < registry->count; i++)
    if (registry->hooks[i] != NULL) result = hook_visit(registry->hooks[i], visit, arg);
  if (result != 0) return result;
  Py_VISIT((PyObject *)Py_TYPE(self));
  Py_VISIT((PyObject *)registry->kept_type);
  Py_VISIT(registry->package);
  Py_VISIT(registry->hook_type);
  Py_VISIT(registry->not_now_type);
  Py_VISIT(registry->register_any);
  Py_VISIT(registry->fork);
  Py_VISIT(registry->later);
  return 0;
}

static void leave_core(const struct registry *registry) {
  for (Py_ssize_t i = 0; i < registry->count; i++)
    if (registry->hooks[i] != NULL) atfork_unregister(registry->hooks[i]->id);
}

/* From here on the registry is not found, so finalisers of its objects cannot change it. */
static void end(struct registry *registry) {
  struct registry **at = &registries;
  while (*at != NULL && *at != registry) at = &(*at)->next;
  if (*at != NULL) {
    *at = registry->next;
    if (registries == NULL) watch_end();
  }
  Py_BEGIN_ALLOW_THREADS;
  leave_core(registry);
  Py_END_ALLOW_THREADS;
}

static int clear(PyObject *self) {
  struct registry *registry = (struct registry *)self;
  end(registry);
  plan_release(plan_take(registry));
  keys_clear(registry);
  Py_ssize_t count = registry->count;
  registry->count = 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    struct hook *hook = registry->hooks[i];
    if (hook == NULL) continue;
    hook->place = 0;
    hook_let_go(hook);
    Py_DECREF((PyObject *)hook);
  }
  Py_CLEAR(registry->later);
  Py_CLEAR(registry->kept_type);
  Py_CLEAR(registry->package);
  Py_CLEAR(registry->hook_type);
  Py_CLEAR(registry->not_now_type);
  Py_CLEAR(registry->register_any);
  Py_CLEAR(registry->fork);
  for (int i = 0; i < OPTIONS; i++) Py_CLEAR(registry->names[i]);
  return 0;
}

static void dealloc(PyObject *self) {
  PyObject_GC_UnTrack(self);
  clear(self);
  PyMem_RawFree(((struct registry *)self)->hooks);
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_Del(self);
  Py_DECREF((PyObject *)type);
}

static PyType_Slot slots[] = {
    {Py_tp_dealloc, SLOT(dealloc)},
    {Py_tp_traverse, SLOT(traverse)},
    {Py_tp_clear, SLOT(clear)},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "atfork._native.Registry",
    .basicsize = sizeof(struct registry),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

/* Python has ended, and an object has kept the registry: its hooks must leave the core now, not in another
 * interpreter. */
static void on_finalized(void) {
  for (; registries != NULL; registries = registries->next) leave_core(registries);
  watch_end();
}

PyObject *native_close(void) {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) watch_close();
  Py_RETURN_NONE;
}

PyObject *native_package(void) {
  const struct registry *registry = registry_open();
  return registry == NULL ? NULL : Py_NewRef(registry->package);
}

/* ---- Opening ---- */

static struct registry *allocate(void) {
  PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(&spec);
  struct registry *registry = type == NULL ? NULL : PyObject_GC_New(struct registry, type);
  Py_XDECREF((PyObject *)type); /* it is the object's */
  if (registry != NULL) memset((char *)registry + sizeof(PyObject), 0, sizeof *registry - sizeof(PyObject));
  return registry;
}

static bool intern_names(struct registry *registry) {
  static const char *const names[OPTIONS] = {"prepare", "parent", "child", "name", "priority"};
  for (int i = 0; i < OPTIONS; i++)
    if ((registry->names[i] = PyUnicode_InternFromString(names[i])) == NULL) return false;
  return true;
}

static bool fill(struct registry *registry) {
  registry->interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
  registry->is_main = PyInterpreterState_Get() == PyInterpreterState_Main();
  registry->done = due_mark();
  registry->kept_type = (PyTypeObject *)kept_make_type();
  registry->fork = PyContextVar_New("atfork.fork", NULL);
  if (registry->kept_type == NULL || registry->fork == NULL || !intern_names(registry)) return false;
  return !registry->is_main || Py_AtExit(on_finalized) == 0 || PyErr_NoMemory() != NULL;
}

/* Added to the list only now: clearing a registry that is not in the list does not end the watch. */
static bool begin(struct registry *registry) {
  if (!watch_begin(fork_pending)) return PyErr_NoMemory() != NULL;
  registry->next = registries;
  registries = registry;
  return true;
}

PyObject *native_open(PyObject *package, PyObject *hook_type, PyObject *not_now_type, PyObject *register_any) {
  if (registry_of_interpreter() != NULL) Py_RETURN_NONE;
  struct registry *registry = allocate();
  if (registry == NULL) return NULL;
  registry->package = Py_NewRef(package);
  registry->hook_type = Py_NewRef(hook_type);
  registry->not_now_type = Py_NewRef(not_now_type);
  registry->register_any = Py_NewRef(register_any);
  PyObject_GC_Track((PyObject *)registry);
  if (fill(registry) && begin(registry)) return (PyObject *)registry;
  Py_DECREF((PyObject *)registry);
  return NULL;
}

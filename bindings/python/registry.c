/* SPDX-License-Identifier: MIT */
#include "registry.h"

#include <stdlib.h>

struct registry *registries;
_Atomic uint64_t registry_latest_serial;

/* Found by the interpreter's number, as its address may be reused. */
struct registry *registry_of_interpreter(void) {
  struct registry *registry = registries;
  if (registry == NULL) return NULL;
  int64_t here = PyInterpreterState_GetID(PyInterpreterState_Get());
  while (registry != NULL && registry->interpreter != here) registry = registry->next;
  return registry;
}

struct registry *registry_open(void) {
  struct registry *registry = registry_of_interpreter();
  if (registry == NULL) PyErr_SetString(PyExc_RuntimeError, "the interpreter is ending");
  return registry;
}

/* ---- The table ---- */

static int compare(const void *one, const void *other) {
  atfork_id a = (*(struct hook *const *)one)->id, b = (*(struct hook *const *)other)->id;
  return a < b ? -1 : a > b;
}

void registry_put_in_order(struct registry *registry) {
  Py_ssize_t to = 0;
  if (registry->holes == 0 && registry->is_sorted) return;
  for (Py_ssize_t from = 0; from < registry->count; from++)
    if (registry->hooks[from] != NULL) registry->hooks[to++] = registry->hooks[from];
  registry->count = to;
  registry->holes = 0;
  if (!registry->is_sorted) qsort(registry->hooks, (size_t)to, sizeof *registry->hooks, compare);
  registry->is_sorted = true;
  for (Py_ssize_t i = 0; i < to; i++) registry->hooks[i]->place = i + 1;
}

static bool make_room(struct registry *registry) {
  if (registry->holes > registry->count / 2) registry_put_in_order(registry);
  if (registry->count < registry->capacity) return true;
  Py_ssize_t capacity = registry->capacity == 0 ? 16 : registry->capacity * 2;
  struct hook **hooks = PyMem_RawRealloc(registry->hooks, (size_t)capacity * sizeof *hooks);
  if (hooks == NULL) return PyErr_NoMemory() != NULL;
  registry->hooks = hooks;
  registry->capacity = capacity;
  return true;
}

/* With room for it. */
static void put_in(struct registry *registry, struct hook *hook) {
  if (registry->count == 0) registry->is_sorted = true;
  if (registry->count > 0 && hook->id < registry->greatest)
    registry->is_sorted = false;
  else
    registry->greatest = hook->id;
  hook->generation = atfork_generation();
  hook->serial = ++registry->serial;
  registry->hooks[registry->count++] = (struct hook *)Py_NewRef((PyObject *)hook);
  registry->owned += hook->owners != NULL;
  hook->place = registry->count;
  /* Relaxed is enough: a fork of this thread sees the value, and a fork of another thread may have come before it. */
  if (registry->is_main) atomic_store_explicit(&registry_latest_serial, hook->serial, memory_order_relaxed);
}

bool registry_add(struct registry *registry, struct hook *hook) {
  if (!make_room(registry) || !hook_enter_core(hook)) return false;
  put_in(registry, hook);
  return true;
}

/* The index may belong to a hook of another interpreter. */
bool registry_take_out(struct registry *registry, struct hook *hook) {
  Py_ssize_t i = hook->place - 1;
  if (i < 0 || i >= registry->count || registry->hooks[i] != hook) return false;
  registry->hooks[i] = NULL;
  registry->holes++;
  registry->owned -= hook->owners != NULL;
  registry->removals++;
  hook->place = 0;
  return true;
}

/* ---- Letting go of C functions ---- */

/* Without memory for the list, the hook is never freed, as C may still call it. */
static void put_off(struct registry *registry, struct hook *hook) {
  if (registry->later == NULL) registry->later = PyList_New(0);
  if (registry->later != NULL && PyList_Append(registry->later, (PyObject *)hook) == 0) return;
  PyErr_Clear();
  Py_INCREF((PyObject *)hook);
}

void registry_retire(struct registry *registry, struct hook *hook, bool at_once) {
  if (at_once) hook_leave_core(hook);
  if (at_once ? hook_is_over(hook) : hook->c_calls == NULL)
    hook_let_go(hook);
  else
    put_off(registry, hook);
}

void registry_sweep(struct registry *registry) {
  PyObject *later = registry->later;
  if (later == NULL || registry->frames != NULL) return;
  registry->later = NULL;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(later); i++)
    registry_retire(registry, (struct hook *)PyList_GET_ITEM(later, i), true);
  Py_DECREF(later);
}

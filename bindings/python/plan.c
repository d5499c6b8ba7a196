/* SPDX-License-Identifier: MIT */
#include "plan.h"

static bool passes(const struct hook *hook, const struct filter *filter) {
  if (filter->unprepared && hook->is_python[PREPARE]) return false;
  return hook->generation < filter->generation && hook->generation >= filter->since && hook->serial <= filter->serial;
}

static struct plan *allocate(const Py_ssize_t counts[PHASES]) {
  size_t all = (size_t)(counts[PREPARE] + counts[PARENT] + counts[CHILD]);
  struct plan *plan = PyMem_RawMalloc(sizeof *plan + all * (sizeof(struct step) + sizeof(PyObject *)));
  if (plan == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  *plan = (struct plan){.users = 1};
  plan->steps[PREPARE] = (struct step *)(plan + 1);
  plan->callbacks[PREPARE] = (PyObject **)(plan->steps[PREPARE] + all);
  for (enum phase phase = PARENT; phase < PHASES; phase++) {
    plan->steps[phase] = plan->steps[phase - 1] + counts[phase - 1];
    plan->callbacks[phase] = plan->callbacks[phase - 1] + counts[phase - 1];
  }
  return plan;
}

/* False: an owner has been collected, so the hook is about to be unregistered. */
static bool hold_owners(struct plan *plan, const struct hook *hook) {
  for (Py_ssize_t i = 0; hook->owners != NULL && i < PyList_GET_SIZE(hook->owners); i++) {
    PyObject *owner = weakly(PyList_GET_ITEM(hook->owners, i));
    if (owner == NULL) return false;
    if (PyList_Append(plan->alive, owner) != 0) PyErr_Clear(); /* then it may be collected before the fork ends */
    Py_DECREF(owner);
  }
  return true;
}

static void add(struct plan *plan, struct hook *hook) {
  Py_ssize_t prepare = hook->is_python[PREPARE] ? plan->counts[PREPARE] : -1;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    if (!hook->is_python[phase]) continue;
    Py_ssize_t i = plan->counts[phase]++;
    plan->callbacks[phase][i] = Py_NewRef(hook->callbacks[phase]);
    plan->steps[phase][i] = (struct step){(struct hook *)Py_NewRef((PyObject *)hook), prepare};
  }
}

/* The list is made first: this may run the collector, which may change the table. */
struct plan *plan_new(struct registry *registry, const struct filter *filter) {
  Py_ssize_t counts[PHASES] = {0};
  PyObject *alive = registry->owned > 0 ? PyList_New(0) : NULL;
  if (PyErr_Occurred()) return NULL;
  registry_put_in_order(registry);
  for (Py_ssize_t i = 0; i < registry->count; i++)
    for (enum phase phase = PREPARE; phase < PHASES; phase++)
      counts[phase] += registry->hooks[i]->is_python[phase] && passes(registry->hooks[i], filter);
  struct plan *plan = allocate(counts);
  if (plan == NULL) {
    Py_XDECREF(alive);
    return NULL;
  }
  plan->alive = alive;
  for (Py_ssize_t i = 0; i < registry->count; i++) {
    struct hook *hook = registry->hooks[i];
    if (passes(hook, filter) && hold_owners(plan, hook)) add(plan, hook);
  }
  return plan;
}

/* A plan that holds owners is used by one fork only. */
struct plan *plan_current(struct registry *registry) {
  static const struct filter everything = {.generation = UINT64_MAX, .serial = UINT64_MAX};
  struct plan *plan = registry->plan == NULL ? plan_new(registry, &everything) : registry->plan;
  if (plan == NULL || plan->alive != NULL) return plan;
  registry->plan = plan;
  plan->users++;
  return plan;
}

struct plan *plan_take(struct registry *registry) {
  struct plan *plan = registry->plan;
  registry->plan = NULL;
  return plan;
}

void plan_release(struct plan *plan) {
  if (plan == NULL || --plan->users > 0) return;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    for (Py_ssize_t i = 0; i < plan->counts[phase]; i++) {
      Py_DECREF(plan->callbacks[phase][i]);
      Py_DECREF((PyObject *)plan->steps[phase][i].hook);
    }
  }
  Py_XDECREF(plan->alive);
  PyMem_RawFree(plan);
}

int plan_visit(struct plan *plan, visitproc visit, void *arg) {
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    for (Py_ssize_t i = 0; i < plan->counts[phase]; i++) {
      Py_VISIT(plan->callbacks[phase][i]);
      Py_VISIT((PyObject *)plan->steps[phase][i].hook);
    }
  }
  return 0;
}

/* SPDX-License-Identifier: MIT */
#include "registry.h"

#include <stdlib.h>

#include "kept.h"
#include "running.h"
#include "slot.h"

/* Of all interpreters.  Not by their addresses, as these are used again. */
static struct registry *registries;

static int64_t this_interpreter(void) {
  return PyInterpreterState_GetID(PyInterpreterState_Get());
}

struct registry *registry_of_interpreter(void) {
  struct registry *registry = registries;
  if (registry == NULL) return NULL;
  int64_t here = this_interpreter();
  while (registry != NULL && registry->interpreter != here) registry = registry->next;
  return registry;
}

/* ---- Plans ---- */

static bool passes(const struct hook *hook, const struct filter *filter) {
  if (filter->unprepared && hook->is_python[PREPARE]) return false;
  return hook->generation < filter->generation && hook->generation >= filter->since && hook->serial <= filter->serial;
}

static int compare(const void *one, const void *other) {
  atfork_id a = (*(struct hook *const *)one)->id, b = (*(struct hook *const *)other)->id;
  return a < b ? -1 : a > b;
}

/* In run order, which is that of the ids, and without holes. */
static void put_in_order(struct registry *registry) {
  Py_ssize_t to = 0;
  if (registry->holes == 0 && registry->is_sorted) return;
  for (Py_ssize_t from = 0; from < registry->count; from++)
    if (registry->hooks[from] != NULL) registry->hooks[to++] = registry->hooks[from];
  registry->count = to;
  registry->holes = 0;
  if (!registry->is_sorted) qsort(registry->hooks, (size_t)to, sizeof *registry->hooks, compare);
  registry->is_sorted = true;
  for (Py_ssize_t i = 0; i < to; i++) registry->hooks[i]->place = i;
}

static void add_steps(struct plan *plan, struct hook *hook) {
  Py_ssize_t prepare = hook->is_python[PREPARE] ? plan->counts[PREPARE] : -1;
  plan->has_owners |= hook->owners != NULL;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    if (!hook->is_python[phase]) continue;
    Py_ssize_t i = plan->counts[phase]++;
    plan->callbacks[phase][i] = Py_NewRef(hook->callbacks[phase]);
    plan->steps[phase][i] = (struct step){(struct hook *)Py_NewRef((PyObject *)hook), prepare};
  }
}

static struct plan *new_plan(const Py_ssize_t counts[PHASES]) {
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

struct plan *registry_plan(struct registry *registry, const struct filter *filter) {
  Py_ssize_t counts[PHASES] = {0};
  put_in_order(registry);
  for (Py_ssize_t i = 0; i < registry->count; i++)
    for (enum phase phase = PREPARE; phase < PHASES; phase++)
      counts[phase] += registry->hooks[i]->is_python[phase] && passes(registry->hooks[i], filter);
  struct plan *plan = new_plan(counts);
  for (Py_ssize_t i = 0; plan != NULL && i < registry->count; i++)
    if (passes(registry->hooks[i], filter)) add_steps(plan, registry->hooks[i]);
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
  PyMem_RawFree(plan);
}

/* A hook whose owner has gone, but which has not been told so yet; NULL.  The others' owners are put into the list. */
static struct hook *find_orphan(struct registry *registry, PyObject *alive) {
  for (Py_ssize_t i = 0; i < registry->count; i++) {
    struct hook *hook = registry->hooks[i];
    for (Py_ssize_t k = 0; hook != NULL && hook->owners != NULL && k < PyList_GET_SIZE(hook->owners); k++) {
      PyObject *owner = weakly(PyList_GET_ITEM(hook->owners, k));
      if (owner == NULL) return hook;
      if (PyList_Append(alive, owner) != 0) PyErr_Clear(); /* then it may go before the fork ends */
      Py_DECREF(owner);
    }
  }
  return NULL;
}

static void forget(struct hook *hook);

static struct plan *share_plan(struct registry *registry) {
  static const struct filter everything = {.generation = UINT64_MAX, .serial = UINT64_MAX};
  if (registry->plan == NULL) registry->plan = registry_plan(registry, &everything);
  if (registry->plan != NULL) registry->plan->users++;
  return registry->plan;
}

/* False when there is to be another attempt. */
static bool has_its_owners(struct registry *registry, struct plan *plan, PyObject *alive) {
  struct hook *orphan = find_orphan(registry, alive);
  if (orphan != NULL) forget(orphan);
  return orphan == NULL && registry->plan == plan;
}

struct plan *registry_current_plan(struct registry *registry, PyObject **alive) {
  for (;;) {
    struct plan *plan = share_plan(registry);
    if (plan == NULL || !plan->has_owners) return plan;
    *alive = PyList_New(0);
    if (*alive != NULL && has_its_owners(registry, plan, *alive)) return plan;
    plan_release(plan);
    if (*alive == NULL) return NULL;
    Py_CLEAR(*alive);
  }
}

/* ---- The table ---- */

static bool make_room(struct registry *registry) {
  if (registry->holes > registry->count / 2) put_in_order(registry);
  if (registry->count < registry->capacity) return true;
  Py_ssize_t capacity = registry->capacity == 0 ? 16 : registry->capacity * 2;
  struct hook **hooks = PyMem_RawRealloc(registry->hooks, (size_t)capacity * sizeof *hooks);
  if (hooks == NULL) return PyErr_NoMemory() != NULL;
  registry->hooks = hooks;
  registry->capacity = capacity;
  return true;
}

static struct plan *take_plan(struct registry *registry) {
  struct plan *plan = registry->plan;
  registry->plan = NULL;
  return plan;
}

/* Another interpreter's hook may be in the same place. */
static bool has(const struct registry *registry, const struct hook *hook) {
  return registry != NULL && hook->place >= 0 && hook->place < registry->count && registry->hooks[hook->place] == hook;
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
  hook->place = registry->count;
  registry->hooks[registry->count++] = (struct hook *)Py_NewRef((PyObject *)hook);
  if (registry->is_main) running_note_serial(hook->serial);
}

/* The table's reference is the caller's. */
static void take_out(struct registry *registry, struct hook *hook) {
  registry->hooks[hook->place] = NULL;
  registry->holes++;
  hook->place = -1;
}

static void forget_key(struct registry *registry, struct hook *hook) {
  if (hook->key == NULL || registry->keys == NULL) return;
  if (PyDict_GetItemWithError(registry->keys, hook->key) == (PyObject *)hook) PyDict_DelItem(registry->keys, hook->key);
  if (PyErr_Occurred()) PyErr_WriteUnraisable((PyObject *)hook);
}

/* ---- Letting go of C functions ---- */

static int unregister_inside(const struct atfork_info *info, void *id) {
  (void)info;
  atfork_unregister(*(atfork_id *)id);
  return 1;
}

/* Inside a walk the core waits for nobody: who still calls the hook's C functions ends with that. */
static void leave_core(struct hook *hook) {
  atfork_foreach(unregister_inside, &hook->id);
}

/* False when it cannot be put off. */
static bool put_off(struct registry *registry, struct hook *hook) {
  if (registry->later == NULL) registry->later = PyList_New(0);
  if (registry->later != NULL && PyList_Append(registry->later, (PyObject *)hook) == 0) return true;
  PyErr_Clear();
  return false;
}

void registry_sweep(struct registry *registry) {
  PyObject *later = registry->later;
  if (later == NULL || registry->frames != NULL) return;
  registry->later = NULL;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(later); i++) {
    struct hook *hook = (struct hook *)PyList_GET_ITEM(later, i);
    leave_core(hook);
    if (hook_is_over(hook) || !put_off(registry, hook)) hook_let_go(hook);
  }
  Py_DECREF(later);
}

/* ---- Unregistering ---- */

/* What is Python's of it is out of the table. */
static void leave_core_for_good(struct registry *registry, struct hook *hook) {
  if (running_is_inside(registry) && hook->c_calls != NULL && put_off(registry, hook)) return;
  /* It may wait for a fork in C, and that for the GIL. */
  atfork_id id = hook->id;
  Py_BEGIN_ALLOW_THREADS;
  atfork_unregister(id);
  Py_END_ALLOW_THREADS;
  hook_let_go(hook);
}

bool registry_remove(struct hook *hook) {
  struct registry *registry = registry_of_interpreter();
  if (!has(registry, hook)) return false;
  struct plan *plan = take_plan(registry);
  take_out(registry, hook);
  forget_key(registry, hook);
  if (!running_is_inside(registry)) running_wait(registry, hook->serial);
  leave_core_for_good(registry, hook);
  plan_release(plan);
  Py_DECREF((PyObject *)hook);
  return true;
}

/* An owner has gone, in any thread that collects garbage, whatever locks that has: nothing is waited for. */
static void forget(struct hook *hook) {
  struct registry *registry = registry_of_interpreter();
  if (!has(registry, hook)) return;
  struct plan *plan = take_plan(registry);
  take_out(registry, hook);
  forget_key(registry, hook);
  leave_core(hook);
  if (hook_is_over(hook) || !put_off(registry, hook)) hook_let_go(hook);
  plan_release(plan);
  Py_DECREF((PyObject *)hook);
}

static PyObject *on_owner_gone(PyObject *hook, PyObject *reference) {
  (void)reference;
  Py_INCREF(hook);
  forget((struct hook *)hook);
  Py_DECREF(hook);
  Py_RETURN_NONE;
}

/* ---- Registering ---- */

/* What is Python's is no business of the core's but for its place among the hooks: running.c runs it. */
static void leave_to_python(void *unused) {
  (void)unused;
}

/* One of the same key goes first; and those that other threads register while this one waits for it. */
static bool take_key(struct registry *registry, struct hook *hook) {
  if (hook->key == NULL) return true;
  if (registry->keys == NULL) registry->keys = PyDict_New();
  if (registry->keys == NULL) return false;
  bool is_there = true;
  while (is_there) {
    PyObject *before = PyDict_GetItemWithError(registry->keys, hook->key);
    if (PyErr_Occurred()) return false;
    Py_XINCREF(before);
    is_there = before != NULL && registry_remove((struct hook *)before);
    Py_XDECREF(before);
  }
  return PyDict_SetItem(registry->keys, hook->key, (PyObject *)hook) == 0;
}

static bool enter(struct registry *registry, struct hook *hook, const struct hook_options *options) {
  static PyMethodDef gone = {"owner_gone", on_owner_gone, METH_O, NULL};
  registry_sweep(registry);
  if (!hook_fill(hook, options, registry->check, &gone) || !take_key(registry, hook) || !make_room(registry))
    return false;
  struct plan *plan = take_plan(registry);
  bool entered = hook_enter_core(hook, leave_to_python);
  if (entered) put_in(registry, hook);
  plan_release(plan);
  return entered;
}

static PyObject *enter_or_clear(struct registry *registry, PyObject *hook, const struct hook_options *options) {
  if (enter(registry, (struct hook *)hook, options)) return hook;
  PyObject *error[3];
  PyErr_Fetch(&error[0], &error[1], &error[2]);
  forget_key(registry, (struct hook *)hook);
  PyErr_Restore(error[0], error[1], error[2]);
  Py_DECREF(hook);
  return NULL;
}

/* With an exception when there is none. */
static struct registry *open_registry(void) {
  struct registry *registry = registry_of_interpreter();
  if (registry == NULL) PyErr_SetString(PyExc_RuntimeError, "the interpreter is ending");
  return registry;
}

/* ---- register() ---- */

static const char *const option_names[OPTIONS] = {"prepare", "parent", "child", "name", "priority", "key", "owner"};

/* Names in a call are interned, so that most often the first loop finds it; OPTIONS when there is none. */
static int find_option(const struct registry *registry, PyObject *name) {
  for (int i = 0; i < OPTIONS; i++)
    if (name == registry->names[i]) return i;
  for (int i = 0; i < OPTIONS; i++)
    if (PyUnicode_CompareWithASCIIString(name, option_names[i]) == 0) return i;
  return OPTIONS;
}

static bool take_options(struct hook_options *options, const struct registry *registry, PyObject *const *values,
                         PyObject *names) {
  for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
    int option = find_option(registry, PyTuple_GET_ITEM(names, i));
    if (option == OPTIONS) {
      PyErr_Format(PyExc_TypeError, "register() got an unexpected keyword argument %R", PyTuple_GET_ITEM(names, i));
      return false;
    }
    /* None is what stands for nothing, but not for a name or a priority. */
    if (values[i] != Py_None || option == NAME || option == PRIORITY) options->of[option] = values[i];
  }
  return true;
}

static PyObject *new_hook(const struct registry *registry) {
  struct hook *hook = PyObject_New(struct hook, registry->hook_type);
  if (hook == NULL) return NULL;
  memset((char *)hook + sizeof(PyObject), 0, sizeof *hook - sizeof(PyObject));
  hook->place = -1;
  return (PyObject *)hook;
}

PyObject *native_register(PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
  (void)module;
  struct hook_options options = {{NULL}};
  struct registry *registry = open_registry();
  if (registry == NULL) return NULL;
  if (count != 0) return PyErr_Format(PyExc_TypeError, "register() takes no positional arguments");
  if (!take_options(&options, registry, arguments, names)) return NULL;
  PyObject *hook = new_hook(registry);
  return hook == NULL ? NULL : enter_or_clear(registry, hook, &options);
}

PyObject *native_attach(PyObject *hook, PyObject *child) {
  struct hook_options options = {{NULL}};
  struct registry *registry = open_registry();
  if (registry == NULL) return NULL;
  if (!PyObject_TypeCheck(hook, registry->hook_type) || ((struct hook *)hook)->id != 0)
    return PyErr_Format(PyExc_TypeError, "a new hook is needed");
  options.of[CHILD] = child;
  return enter_or_clear(registry, Py_NewRef(hook), &options);
}

/* ---- Listing ---- */

/* A hook as a tuple, put into the list; non-zero with an exception. */
static int append(const struct atfork_info *info, void *list) {
  const struct atfork_hook *hook = &info->hook;
  if (running_is_own(hook)) return 0;
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

/* ---- The interpreter's end, and the garbage collector ---- */

static int visit_hook(struct hook *hook, visitproc visit, void *arg) {
  Py_VISIT((PyObject *)hook);
  Py_VISIT(hook->key);
  Py_VISIT(hook->owners);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) Py_VISIT(hook->callbacks[phase]);
  return 0;
}

static int visit_plan(struct plan *plan, visitproc visit, void *arg) {
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    for (Py_ssize_t i = 0; i < plan->counts[phase]; i++) {
      Py_VISIT(plan->callbacks[phase][i]);
      Py_VISIT((PyObject *)plan->steps[phase][i].hook);
    }
  }
  return 0;
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
  struct registry *registry = (struct registry *)self;
  int result = 0;
  for (Py_ssize_t i = 0; result == 0 && i < registry->count; i++)
    if (registry->hooks[i] != NULL) result = visit_hook(registry->hooks[i], visit, arg);
  if (result == 0 && registry->plan != NULL) result = visit_plan(registry->plan, visit, arg);
  if (result != 0) return result;
  Py_VISIT((PyObject *)Py_TYPE(self));
  Py_VISIT((PyObject *)registry->hook_type);
  Py_VISIT((PyObject *)registry->kept_type);
  Py_VISIT(registry->check);
  Py_VISIT(registry->fork);
  Py_VISIT(registry->keys);
  Py_VISIT(registry->later);
  return 0;
}

/* From here on nothing finds it, and what its objects do as they go changes nothing in it. */
static void take_from_list(struct registry *registry) {
  struct registry **at = &registries;
  while (*at != NULL && *at != registry) at = &(*at)->next;
  if (*at == NULL) return;
  *at = registry->next;
  if (registries == NULL) running_watch_no_more();
}

static void leave_core_all(struct registry *registry) {
  Py_BEGIN_ALLOW_THREADS;
  for (Py_ssize_t i = 0; i < registry->count; i++)
    if (registry->hooks[i] != NULL) atfork_unregister(registry->hooks[i]->id);
  Py_END_ALLOW_THREADS;
}

static int clear(PyObject *self) {
  struct registry *registry = (struct registry *)self;
  take_from_list(registry);
  leave_core_all(registry);
  plan_release(take_plan(registry));
  Py_ssize_t count = registry->count;
  registry->count = 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    struct hook *hook = registry->hooks[i];
    if (hook == NULL) continue;
    hook->place = -1;
    hook_let_go(hook);
    Py_DECREF((PyObject *)hook);
  }
  Py_CLEAR(registry->keys);
  Py_CLEAR(registry->later);
  Py_CLEAR(registry->check);
  Py_CLEAR(registry->fork);
  Py_CLEAR(registry->hook_type);
  Py_CLEAR(registry->kept_type);
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

/* Python has ended, and some object kept a registry: what is in the core must not wait for another interpreter. */
static void on_finalized(void) {
  for (struct registry *registry = registries; registry != NULL; registry = registry->next)
    for (Py_ssize_t i = 0; i < registry->count; i++)
      if (registry->hooks[i] != NULL) atfork_unregister(registry->hooks[i]->id);
  registries = NULL;
  running_watch_no_more();
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
  for (int i = 0; i < OPTIONS; i++)
    if ((registry->names[i] = PyUnicode_InternFromString(option_names[i])) == NULL) return false;
  return true;
}

static bool fill(struct registry *registry, PyObject *hook_type, PyObject *check) {
  registry->interpreter = this_interpreter();
  registry->is_main = PyInterpreterState_Get() == PyInterpreterState_Main();
  registry->done = atfork_generation() + 1;
  registry->hook_type = (PyTypeObject *)Py_NewRef(hook_type);
  registry->check = Py_NewRef(check);
  registry->kept_type = (PyTypeObject *)kept_make_type();
  registry->fork = PyContextVar_New("atfork.fork", NULL);
  if (registry->kept_type == NULL || registry->fork == NULL || !intern_names(registry)) return false;
  return !registry->is_main || Py_AtExit(on_finalized) == 0 || PyErr_NoMemory() != NULL;
}

/* Only then in the list, as what clears one that is not there ends no watch. */
static bool begin(struct registry *registry) {
  if (!running_watch()) return PyErr_NoMemory() != NULL;
  registry->next = registries;
  registries = registry;
  return true;
}

PyObject *native_open(PyObject *hook_type, PyObject *check) {
  if (registry_of_interpreter() != NULL) Py_RETURN_NONE;
  struct registry *registry = allocate();
  if (registry == NULL) return NULL;
  PyObject_GC_Track((PyObject *)registry);
  if (fill(registry, hook_type, check) && begin(registry)) return (PyObject *)registry;
  Py_DECREF((PyObject *)registry);
  return NULL;
}

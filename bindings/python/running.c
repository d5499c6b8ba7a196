/* SPDX-License-Identifier: MIT */
#include "running.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

/*
 * A fork under way, or the callbacks that such a one has missed.  What it runs is fixed as it begins: a hook that
 * is unregistered meanwhile gets the rest of it, and one that is registered has no part in it.
 */
struct frame {
  struct frame *outer; /* of the same thread */
  struct frame *next;  /* of all threads */
  PyObject *plan;      /* a tuple of callables for each phase, in run order */
  uint64_t ticket;
  uint64_t serial; /* of the latest hook that may have a part in it */
  bool is_armed;   /* prepared: the next fork of this thread is the one */
};

/* Guarded by the GIL. */
static struct {
  PyObject *hooks; /* id: (generation, serial, has_symbols, prepare, parent, child) */
  PyObject *plan;  /* what a fork that begins now runs; NULL when `hooks` has changed */
  PyObject *later; /* ids of hooks with C functions that were unregistered inside a fork */
  struct frame *frames;
  uint64_t ticket; /* of the latest frame */
  uint64_t serial; /* of the latest registration */
  uint64_t done;   /* the mark (generation + 1) of the process whose child callbacks have begun */
  atfork_id own;
} python;

enum { GENERATION, SERIAL, HAS_SYMBOLS, CALLABLES };

/* Written by this thread alone; a child's thread inherits it. */
static _Thread_local struct frame *innermost __attribute__((tls_model("initial-exec")));

/* Touched inside fork(2), by any thread. */
static _Atomic bool is_open;
static _Atomic bool is_scheduled;
static _Atomic int parents_due;
static _Atomic uint64_t parents_serial; /* hooks after that are later than the fork */
static _Atomic uint64_t latest_serial;

static uint64_t mark_now(void) {
  return atfork_generation() + 1;
}

/* ---- Plans ---- */

struct filter {
  uint64_t generation; /* only those registered in earlier ones, */
  uint64_t since;      /* or in this one and later ones, */
  uint64_t serial;     /* up to this registration, */
  bool unprepared;     /* without a prepare of Python's */
};

static const struct filter everything = {.generation = UINT64_MAX, .serial = UINT64_MAX};

static bool passes(PyObject *entry, const struct filter *filter) {
  uint64_t generation = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(entry, GENERATION));
  uint64_t serial = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(entry, SERIAL));
  if (filter->unprepared && PyTuple_GET_ITEM(entry, CALLABLES + PREPARE) != Py_None) return false;
  return generation < filter->generation && generation >= filter->since && serial <= filter->serial;
}

/* The callables of one phase among (id, entry) pairs. */
static PyObject *callables_of(PyObject *items, enum phase phase, const struct filter *filter) {
  PyObject *list = PyList_New(0);
  for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(items); i++) {
    PyObject *entry = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
    PyObject *callable = PyTuple_GET_ITEM(entry, CALLABLES + phase);
    if (callable != Py_None && passes(entry, filter) && PyList_Append(list, callable) != 0) Py_CLEAR(list);
  }
  PyObject *tuple = list == NULL ? NULL : PyList_AsTuple(list);
  Py_XDECREF(list);
  return tuple;
}

/* Runs no code of Python's: ids differ, so nothing else is compared. */
static PyObject *make_plan(const struct filter *filter) {
  PyObject *items = PyDict_Items(python.hooks);
  PyObject *plan = items == NULL || PyList_Sort(items) != 0 ? NULL : PyTuple_New(PHASES);
  for (enum phase phase = PREPARE; plan != NULL && phase < PHASES; phase++) {
    PyObject *callables = callables_of(items, phase, filter);
    if (callables == NULL)
      Py_CLEAR(plan);
    else
      PyTuple_SET_ITEM(plan, phase, callables);
  }
  Py_XDECREF(items);
  return plan;
}

static PyObject *current_plan(void) {
  if (python.plan == NULL) python.plan = make_plan(&everything);
  Py_XINCREF(python.plan);
  return python.plan;
}

/* ---- Frames ---- */

/* Takes the plan over.  Without memory the error is shown, and NULL returned: the fork goes on without. */
static struct frame *frame_begin(PyObject *plan) {
  struct frame *frame = plan == NULL ? NULL : PyMem_RawMalloc(sizeof *frame);
  if (frame == NULL) {
    if (plan != NULL) PyErr_NoMemory();
    PyErr_WriteUnraisable(NULL);
    Py_XDECREF(plan);
    return NULL;
  }
  *frame = (struct frame){
      .outer = innermost, .next = python.frames, .plan = plan, .ticket = ++python.ticket, .serial = python.serial};
  python.frames = innermost = frame;
  return frame;
}

static void unregister_later(void) {
  PyObject *later = python.later;
  if (python.frames != NULL || later == NULL) return;
  python.later = NULL;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(later); i++) {
    atfork_id id = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(later, i));
    Py_BEGIN_ALLOW_THREADS;
    atfork_unregister(id);
    Py_END_ALLOW_THREADS;
  }
  Py_DECREF(later);
}

static void frame_free(struct frame *frame) {
  Py_DECREF(frame->plan);
  PyMem_RawFree(frame);
}

static void frame_end(struct frame *frame) {
  struct frame **at = &python.frames;
  while (*at != frame) at = &(*at)->next;
  *at = frame->next;
  innermost = frame->outer;
  frame_free(frame);
  unregister_later();
}

static bool is_own(const struct frame *frame) {
  const struct frame *own = innermost;
  while (own != NULL && own != frame) own = own->outer;
  return own != NULL;
}

/* In a new process: the other threads are gone. */
static void keep_own_frames(void) {
  for (struct frame **at = &python.frames; *at != NULL;) {
    struct frame *frame = *at;
    if (is_own(frame)) {
      at = &frame->next;
    } else {
      *at = frame->next;
      frame_free(frame);
    }
  }
}

static bool is_under_way(uint64_t ticket, uint64_t serial) {
  for (const struct frame *frame = python.frames; frame != NULL; frame = frame->next)
    if (frame->ticket <= ticket && frame->serial >= serial) return true;
  return false;
}

/* For the forks of other threads that began by now, and that this hook has a part in. */
static void wait_for_frames(uint64_t serial) {
  uint64_t ticket = python.ticket;
  for (long pause = 1000; is_under_way(ticket, serial); pause = pause < 500000 ? 2 * pause : 1000000) {
    Py_BEGIN_ALLOW_THREADS;
    nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    Py_END_ALLOW_THREADS;
  }
}

/* ---- Running ---- */

static void run_one(PyObject *callable) {
  PyObject *result = PyObject_CallNoArgs(callable);
  if (result == NULL)
    PyErr_WriteUnraisable(callable);
  else
    Py_DECREF(result);
}

static void run_prepare(PyObject *plan) {
  PyObject *callables = PyTuple_GET_ITEM(plan, PREPARE);
  for (Py_ssize_t i = PyTuple_GET_SIZE(callables); i-- > 0;) run_one(PyTuple_GET_ITEM(callables, i));
}

static void run_parent(PyObject *plan) {
  PyObject *callables = PyTuple_GET_ITEM(plan, PARENT);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(callables); i++) run_one(PyTuple_GET_ITEM(callables, i));
}

/* A callback that forks has the child run all of them there: when it returns in that, this is over. */
static int run_child(PyObject *plan) {
  PyObject *callables = PyTuple_GET_ITEM(plan, CHILD);
  uint64_t mark = mark_now();
  int count = 0;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(callables) && mark_now() == mark; i++, count++)
    run_one(PyTuple_GET_ITEM(callables, i));
  return count;
}

/* True once in each process.  What the parent had not come to is not ours. */
static bool is_new(uint64_t mark) {
  if (python.done == mark) return false;
  python.done = mark;
  atomic_store(&parents_due, 0);
  keep_own_frames();
  return true;
}

static int run_missed(const struct filter *filter, bool in_child) {
  struct frame *frame = frame_begin(make_plan(filter));
  int count = 0;
  if (frame == NULL) return 0;
  if (in_child)
    count = run_child(frame->plan);
  else
    run_parent(frame->plan);
  frame_end(frame);
  return count;
}

/* Runs what a fork that Python was not told of has left undone. */
static int catch_up(void) {
  uint64_t mark = mark_now();
  if (is_new(mark)) return run_missed(&(struct filter){.generation = mark - 1, .serial = UINT64_MAX}, true);
  uint64_t serial = atomic_load(&parents_serial);
  for (int due = atomic_exchange(&parents_due, 0); due > 0; due--)
    run_missed(&(struct filter){.generation = UINT64_MAX, .serial = serial, .unprepared = true}, false);
  return 0;
}

/* ---- Forks that Python is not told of ---- */

static int on_pending(void *unused) {
  (void)unused;
  atomic_store(&is_scheduled, false);
  if (atomic_load(&is_open)) catch_up();
  return 0;
}

/*
 * Before the fork, so that the child finds the call in its queue, and has no lock to take that another thread may have
 * held.  Only when the main thread was so quick to take it out again is there more to do after it.
 */
static void schedule(void) {
  if (!atomic_load(&is_open) || atomic_exchange(&is_scheduled, true)) return;
  if (Py_AddPendingCall(on_pending, NULL) != 0) atomic_store(&is_scheduled, false);
}

static bool is_in_step(void) {
  return innermost != NULL && innermost->is_armed;
}

static void on_prepare(void *unused) {
  (void)unused;
  if (!is_in_step()) schedule();
}

static void on_parent(void *unused) {
  (void)unused;
  if (is_in_step()) return;
  atomic_store(&parents_serial, atomic_load(&latest_serial));
  atomic_fetch_add(&parents_due, 1);
  schedule();
}

static void on_child(void *unused) {
  (void)unused;
  if (!is_in_step()) schedule();
}

bool running_is_own(const struct atfork_hook *hook) {
  return hook->child == on_child;
}

/* ---- Opening ---- */

/* Python has ended, but for objects that we hold: what is in the core must not wait for another interpreter. */
static void on_finalized(void) {
  PyObject *id;
  Py_ssize_t at = 0;
  atomic_store(&is_open, false);
  atfork_unregister(python.own);
  while (PyDict_Next(python.hooks, &at, &id, NULL)) atfork_unregister(PyLong_AsUnsignedLongLong(id));
  python.hooks = python.plan = python.later = NULL;
  python.frames = NULL;
  python.own = 0;
}

static bool is_main_interpreter(void) {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return true;
  PyErr_SetString(PyExc_ImportError, "atfork works in the main interpreter only");
  return false;
}

PyObject *native_open(void) {
  if (!is_main_interpreter()) return NULL;
  if (python.own != 0) Py_RETURN_FALSE;
  python.hooks = PyDict_New();
  if (python.hooks == NULL || Py_AtExit(on_finalized) != 0) return PyErr_NoMemory();
  /* First to be prepared. */
  python.own = atfork_register(&(struct atfork_hook){.name = "python",
                                                     .priority = ATFORK_PRIORITY_MAX,
                                                     .prepare = on_prepare,
                                                     .parent = on_parent,
                                                     .child = on_child});
  if (python.own == 0) return PyErr_NoMemory();
  python.done = mark_now();
  atomic_store(&is_open, true);
  Py_RETURN_TRUE;
}

PyObject *native_close(void) {
  atomic_store(&is_open, false);
  Py_RETURN_NONE;
}

/* ---- In step with os.register_at_fork() ---- */

PyObject *native_before(void) {
  catch_up();
  struct frame *frame = frame_begin(current_plan());
  if (frame != NULL) {
    run_prepare(frame->plan);
    frame->is_armed = true;
  }
  Py_RETURN_NONE;
}

/* When something has forked between before and the fork, its child comes here too. */
PyObject *native_after_in_parent(void) {
  struct frame *frame = innermost;
  if (!is_in_step()) Py_RETURN_NONE;
  frame->is_armed = false;
  if (is_new(mark_now())) run_child(frame->plan);
  run_parent(frame->plan);
  frame_end(frame);
  Py_RETURN_NONE;
}

/* Also where C code forks, and then tells Python: PyOS_AfterFork_Child(). */
PyObject *native_after_in_child(void) {
  struct frame *frame = innermost;
  if (!is_in_step()) {
    catch_up();
    Py_RETURN_NONE;
  }
  frame->is_armed = false;
  if (is_new(mark_now())) run_child(frame->plan);
  frame_end(frame);
  Py_RETURN_NONE;
}

/* ---- For the package ---- */

/* The core counts Python's callbacks too, which do nothing there, and on_child(). */
PyObject *native_poll(void) {
  int all = atfork_poll();
  int ours = catch_up();
  return PyLong_FromLong(all > ours ? all - 1 : ours);
}

PyObject *native_start(void) {
  uint64_t generation = atfork_generation();
  catch_up();
  return PyLong_FromLong(
      run_missed(&(struct filter){.generation = UINT64_MAX, .since = generation, .serial = UINT64_MAX}, true));
}

PyObject *native_spawned(PyObject *token) {
  const char *text = token == Py_None ? NULL : PyUnicode_AsUTF8(token);
  if (text == NULL && token != Py_None) return NULL;
  int error = atfork_spawned(text) == 0 ? 0 : errno;
  if (error == 0) catch_up();
  return PyLong_FromLong(error);
}

bool running_add(atfork_id id, PyObject *callables, bool has_symbols) {
  PyObject *key = PyLong_FromUnsignedLongLong(id);
  PyObject *entry =
      Py_BuildValue("KKOOOO", (unsigned long long)atfork_generation(), (unsigned long long)python.serial + 1,
                    has_symbols ? Py_True : Py_False, PyTuple_GET_ITEM(callables, PREPARE),
                    PyTuple_GET_ITEM(callables, PARENT), PyTuple_GET_ITEM(callables, CHILD));
  bool added = key != NULL && entry != NULL && PyDict_SetItem(python.hooks, key, entry) == 0;
  if (added) {
    atomic_store(&latest_serial, ++python.serial);
    Py_CLEAR(python.plan);
  }
  Py_XDECREF(key);
  Py_XDECREF(entry);
  return added;
}

/* A hook with C functions still gets the rest of a fork that this thread is inside of. */
static bool put_off(PyObject *key, PyObject *entry) {
  if (innermost == NULL || PyTuple_GET_ITEM(entry, HAS_SYMBOLS) != Py_True) return false;
  if (python.later == NULL) python.later = PyList_New(0);
  if (python.later != NULL && PyList_Append(python.later, key) == 0) return true;
  PyErr_Clear();
  return false;
}

static void remove_entry(PyObject *key, PyObject *entry, atfork_id id) {
  PyDict_DelItem(python.hooks, key);
  Py_CLEAR(python.plan);
  if (innermost == NULL) wait_for_frames(PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(entry, SERIAL)));
  if (put_off(key, entry)) return;
  /* It may wait for a fork in C, and that for the GIL. */
  Py_BEGIN_ALLOW_THREADS;
  atfork_unregister(id);
  Py_END_ALLOW_THREADS;
}

bool running_remove(atfork_id id) {
  PyObject *key = PyLong_FromUnsignedLongLong(id);
  PyObject *entry = key == NULL ? NULL : PyDict_GetItemWithError(python.hooks, key);
  Py_XINCREF(entry);
  if (entry != NULL) remove_entry(key, entry, id);
  Py_XDECREF(key);
  Py_XDECREF(entry);
  return entry != NULL;
}

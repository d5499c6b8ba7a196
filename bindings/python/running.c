/* SPDX-License-Identifier: MIT */
#include "running.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "made.h"

/*
 * A fork under way, or the callbacks that such a one has missed.  What it runs is fixed as it begins: a hook that
 * is unregistered meanwhile gets the rest of it, and one that is registered has no part in it.
 *
 * With greenlets several forks of one thread are under way at once, and end in any order.  So which one a callback
 * belongs to is noted in a context variable: each greenlet, as each thread, has a context of its own.
 */
struct frame {
  struct frame *next; /* of all threads */
  struct plan *plan;
  PyObject *alive; /* a list of the hooks' owners, so that none goes meanwhile; or NULL */
  unsigned long thread;
  uint64_t ticket;
  uint64_t outer;             /* the ticket of the fork in whose callback this one began; or 0 */
  uint64_t serial;            /* of the latest hook that may have a part in it */
  const struct step *running; /* of a parent or child callback; NULL: none runs */
  bool is_armed;              /* prepared: it is one of the next forks of this thread */
  bool prepared_in_c;         /* those prepares that are C functions have run */
  bool prepared[];            /* which prepare has run, and returned */
};

/* How many frames of this thread are armed.  Read inside fork(2), without the GIL; a child's thread inherits it. */
static _Thread_local unsigned armed __attribute__((tls_model("initial-exec")));

/* How many forks of this thread are between prepare and what comes after it, inside fork(2). */
static _Thread_local unsigned preparing __attribute__((tls_model("initial-exec")));

/* The process that has come out of one of these. */
static uint64_t prepared_mark;

/* Touched inside fork(2), by any thread. */
static _Atomic bool is_open; /* the main interpreter, for pending calls */
static _Atomic bool is_scheduled;
static _Atomic int parents_due;
static _Atomic uint64_t parents_serial; /* hooks after that are later than the fork */
static _Atomic uint64_t latest_serial;

static atfork_id own; /* the hook that watches */

static uint64_t mark_now(void) {
  return atfork_generation() + 1;
}

/* No order is needed: a fork of this thread sees it, and one of another may come before. */
void running_note_serial(uint64_t serial) {
  atomic_store_explicit(&latest_serial, serial, memory_order_relaxed);
}

/* ---- Frames ---- */

/* Zero when this context has none, or without memory. */
static uint64_t context_ticket(const struct registry *registry) {
  PyObject *value = NULL;
  if (PyContextVar_Get(registry->fork, NULL, &value) != 0) PyErr_Clear();
  uint64_t ticket = value == NULL ? 0 : PyLong_AsUnsignedLongLong(value);
  Py_XDECREF(value);
  return ticket;
}

static bool set_context_ticket(const struct registry *registry, uint64_t ticket) {
  PyObject *value = PyLong_FromUnsignedLongLong(ticket);
  PyObject *token = value == NULL ? NULL : PyContextVar_Set(registry->fork, value);
  Py_XDECREF(value);
  Py_XDECREF(token);
  return token != NULL;
}

/* The innermost fork that this thread, or greenlet, is inside of; NULL.  A context may be the copy of another thread's.
 */
static struct frame *own_frame(const struct registry *registry) {
  if (registry->frames == NULL) return NULL;
  uint64_t ticket = context_ticket(registry);
  unsigned long thread = PyThread_get_thread_ident();
  struct frame *frame = ticket == 0 ? NULL : registry->frames;
  while (frame != NULL && (frame->ticket != ticket || frame->thread != thread)) frame = frame->next;
  return frame;
}

bool running_is_inside(const struct registry *registry) {
  unsigned long thread = PyThread_get_thread_ident();
  const struct frame *frame = registry->frames;
  while (frame != NULL && frame->thread != thread) frame = frame->next;
  return frame != NULL;
}

static void frame_free(struct frame *frame) {
  plan_release(frame->plan);
  Py_XDECREF(frame->alive);
  PyMem_RawFree(frame);
}

static struct frame *frame_new(const struct registry *registry, struct plan *plan, PyObject *alive) {
  struct frame *frame = PyMem_RawCalloc(1, sizeof *frame + (size_t)plan->counts[PREPARE]);
  if (frame == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  frame->next = registry->frames;
  frame->plan = plan;
  frame->alive = alive;
  frame->thread = PyThread_get_thread_ident();
  frame->ticket = registry->ticket + 1;
  frame->outer = context_ticket(registry);
  frame->serial = registry->serial;
  return frame;
}

/* Takes both over.  Without memory the error is shown, and NULL returned: the fork goes on without. */
static struct frame *frame_begin(struct registry *registry, struct plan *plan, PyObject *alive) {
  struct frame *frame = plan == NULL ? NULL : frame_new(registry, plan, alive);
  if (frame != NULL && set_context_ticket(registry, frame->ticket)) {
    registry->ticket++;
    return registry->frames = frame;
  }
  PyErr_WriteUnraisable(NULL);
  PyMem_RawFree(frame);
  plan_release(plan);
  Py_XDECREF(alive);
  return NULL;
}

static void take_out(struct registry *registry, const struct frame *frame) {
  struct frame **at = &registry->frames;
  while (*at != frame) at = &(*at)->next;
  *at = frame->next;
}

static void frame_end(struct registry *registry, struct frame *frame) {
  take_out(registry, frame);
  if (!set_context_ticket(registry, frame->outer)) PyErr_WriteUnraisable(NULL);
  frame_free(frame);
  registry_sweep(registry);
}

/* In a new process: the other threads are gone; this one's greenlets are there. */
static void keep_own_frames(struct registry *registry) {
  unsigned long thread = PyThread_get_thread_ident();
  for (struct frame **at = &registry->frames; *at != NULL;) {
    struct frame *frame = *at;
    if (frame->thread == thread) {
      at = &frame->next;
    } else {
      *at = frame->next;
      frame_free(frame);
    }
  }
}

static bool is_under_way(const struct registry *registry, uint64_t ticket, uint64_t serial) {
  for (const struct frame *frame = registry->frames; frame != NULL; frame = frame->next)
    if (frame->ticket <= ticket && frame->serial >= serial) return true;
  return false;
}

void running_wait(struct registry *registry, uint64_t serial) {
  uint64_t ticket = registry->ticket;
  for (long pause = 1000; is_under_way(registry, ticket, serial); pause = pause < 500000 ? 2 * pause : 1000000) {
    Py_BEGIN_ALLOW_THREADS;
    nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    Py_END_ALLOW_THREADS;
  }
}

/* ---- Running ---- */

/* The package's on_error; NULL when it is None, or not there. */
static PyObject *error_handler(void) {
  PyObject *name = PyUnicode_FromString("atfork");
  PyObject *package = name == NULL ? NULL : PyImport_GetModule(name);
  PyObject *handler = package == NULL ? NULL : PyObject_GetAttrString(package, "on_error");
  PyErr_Clear();
  Py_XDECREF(name);
  Py_XDECREF(package);
  if (handler == Py_None) Py_CLEAR(handler);
  return handler;
}

static PyObject *take_exception(void) {
#if PY_VERSION_HEX >= 0x030c0000
  return PyErr_GetRaisedException();
#else
  PyObject *kind, *error, *trace;
  PyErr_Fetch(&kind, &error, &trace);
  PyErr_NormalizeException(&kind, &error, &trace);
  if (trace != NULL) PyException_SetTraceback(error, trace);
  Py_XDECREF(kind);
  Py_XDECREF(trace);
  return error;
#endif
}

static void give_exception_back(PyObject *error) {
#if PY_VERSION_HEX >= 0x030c0000
  PyErr_SetRaisedException(error);
#else
  PyErr_SetObject((PyObject *)Py_TYPE(error), error);
  Py_DECREF(error);
#endif
}

static void report(struct hook *hook, PyObject *callback, const char *phase) {
  PyObject *error = take_exception();
  PyObject *handler = error_handler();
  if (handler == NULL) {
    give_exception_back(error);
    PyErr_WriteUnraisable(PyTuple_CheckExact(callback) ? PyTuple_GET_ITEM(callback, 1) : callback);
    return;
  }
  PyObject *result = PyObject_CallFunction(handler, "OOs", error, hook == NULL ? Py_None : (PyObject *)hook, phase);
  if (result == NULL) PyErr_WriteUnraisable(handler);
  Py_XDECREF(result);
  Py_DECREF(handler);
  Py_DECREF(error);
}

static inline bool run_one(const struct plan *plan, enum phase phase, Py_ssize_t i) {
  PyObject *callback = plan->callbacks[phase][i];
  PyObject *result = hook_call(callback);
  if (result == NULL)
    report(plan->steps[phase][i].hook, callback, phase_names[phase]);
  else
    Py_DECREF(result);
  return result != NULL;
}

static void run_prepare(struct frame *frame) {
  for (Py_ssize_t i = frame->plan->counts[PREPARE]; i-- > 0;) frame->prepared[i] = run_one(frame->plan, PREPARE, i);
}

/*
 * A child's first write to an object copies its page, and a call writes to what it calls.  To copy all these pages
 * first takes a tenth less than to copy one between two calls.
 */
static void take_references(PyObject *const *callbacks, Py_ssize_t count) {
  for (Py_ssize_t i = 0; i < count; i++) Py_INCREF(callbacks[i]);
}

/* A child callback that forks has the child run all of them there: when it returns in that, this is over. */
static int run_after(struct frame *frame, enum phase phase) {
  const struct plan *plan = frame->plan;
  Py_ssize_t count = plan->counts[phase], ran = 0;
  uint64_t mark = mark_now();
  take_references(plan->callbacks[phase], count);
  for (Py_ssize_t i = 0; i < count; i++) {
    if (phase == PARENT || mark_now() == mark) {
      frame->running = &plan->steps[phase][i];
      run_one(plan, phase, i);
      ran++;
    }
    Py_DECREF(plan->callbacks[phase][i]);
  }
  frame->running = NULL;
  return (int)ran;
}

/* True once in each process.  What the parent had not come to is not ours. */
static bool is_new(struct registry *registry, uint64_t mark) {
  if (registry->done == mark) return false;
  registry->done = mark;
  if (registry->is_main) atomic_store(&parents_due, 0);
  keep_own_frames(registry);
  return true;
}

/* A parent is due only where fork(2) told the core. */
static int run_missed(struct registry *registry, const struct filter *filter, enum phase phase) {
  struct frame *frame = frame_begin(registry, registry_plan(registry, filter), NULL);
  if (frame == NULL) return 0;
  frame->prepared_in_c = phase == PARENT || prepared_mark == mark_now();
  int count = run_after(frame, phase);
  frame_end(registry, frame);
  return count;
}

/* Runs what a fork that Python was not told of has left undone. */
static int catch_up(struct registry *registry) {
  uint64_t mark = mark_now();
  if (is_new(registry, mark))
    return run_missed(registry, &(struct filter){.generation = mark - 1, .serial = UINT64_MAX}, CHILD);
  if (!registry->is_main) return 0;
  uint64_t serial = atomic_load(&parents_serial);
  for (int due = atomic_exchange(&parents_due, 0); due > 0; due--)
    run_missed(registry, &(struct filter){.generation = UINT64_MAX, .serial = serial, .unprepared = true}, PARENT);
  return 0;
}

/* ---- Forks that Python is not told of ---- */

/*
 * PyOS_AfterFork_Child() begins by noting the thread's new number, and then runs code: that of threading, random and
 * logging, which puts these right, and this pending call before it.  Our turn in it is to come.
 */
static bool is_being_told(const struct registry *registry) {
#if PY_VERSION_HEX >= 0x030b0000 && defined(PY_HAVE_THREAD_NATIVE_ID)
  bool is_told = PyThreadState_Get()->native_thread_id == PyThread_get_thread_native_id();
#else
  bool is_told = false;
#endif
  return registry->done != mark_now() && (is_told || armed != 0);
}

static int on_pending(void *unused) {
  (void)unused;
  atomic_store(&is_scheduled, false);
  struct registry *registry = atomic_load(&is_open) ? registry_of_interpreter() : NULL;
  if (registry != NULL && !is_being_told(registry)) catch_up(registry);
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

static void on_prepare(void *unused) {
  (void)unused;
  preparing++;
  if (armed == 0) schedule();
}

static void on_parent(void *unused) {
  (void)unused;
  preparing--;
  if (armed != 0) return;
  atomic_store(&parents_serial, atomic_load(&latest_serial));
  atomic_fetch_add(&parents_due, 1);
  schedule();
}

/* Also at a poll, where nothing was prepared. */
static void on_child(void *unused) {
  (void)unused;
  bool is_prepared = preparing != 0;
  if (is_prepared) preparing--;
  if (armed != 0) return;
  if (is_prepared) prepared_mark = mark_now();
  schedule();
}

bool running_is_own(const struct atfork_hook *hook) {
  return hook->child == on_child;
}

/* First to be prepared. */
bool running_watch(void) {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) atomic_store(&is_open, true);
  if (own != 0) return true;
  own = atfork_register(&(struct atfork_hook){.name = "python",
                                              .priority = ATFORK_PRIORITY_MAX,
                                              .prepare = on_prepare,
                                              .parent = on_parent,
                                              .child = on_child});
  return own != 0;
}

void running_watch_no_more(void) {
  atomic_store(&is_open, false);
  atfork_unregister(own);
  own = 0;
}

PyObject *native_close(void) {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) atomic_store(&is_open, false);
  Py_RETURN_NONE;
}

/* ---- In step with os.register_at_fork() ---- */

static void run_before(struct registry *registry) {
  catch_up(registry);
  registry_sweep(registry);
  PyObject *alive = NULL;
  struct plan *plan = registry_current_plan(registry, &alive);
  struct frame *frame = frame_begin(registry, plan, alive);
  if (frame == NULL) return;
  run_prepare(frame);
  frame->prepared_in_c = true;
  frame->is_armed = true;
  armed++;
}

/* Where the context is another: C code may prepare in one thread state, and come back with the next. */
static struct frame *latest_armed(const struct registry *registry) {
  unsigned long thread = PyThread_get_thread_ident();
  struct frame *frame = registry->frames;
  while (frame != NULL && (frame->thread != thread || !frame->is_armed)) frame = frame->next;
  if (frame != NULL && !set_context_ticket(registry, frame->ticket)) PyErr_WriteUnraisable(NULL);
  return frame;
}

/* The fork that this thread, or greenlet, has prepared; NULL: it is another. */
static struct frame *disarm(const struct registry *registry) {
  struct frame *frame = own_frame(registry);
  if (frame == NULL || !frame->is_armed) frame = latest_armed(registry);
  if (frame == NULL) return NULL;
  frame->is_armed = false;
  armed--;
  return frame;
}

/* When something has forked between before and the fork, its child comes here too. */
static void run_after_in_parent(struct registry *registry) {
  struct frame *frame = disarm(registry);
  if (frame == NULL) return;
  if (is_new(registry, mark_now())) run_after(frame, CHILD);
  run_after(frame, PARENT);
  frame_end(registry, frame);
}

/* Also where C code forks, and then tells Python: PyOS_AfterFork_Child(). */
static void run_after_in_child(struct registry *registry) {
  struct frame *frame = disarm(registry);
  if (frame == NULL) {
    catch_up(registry);
    return;
  }
  if (is_new(registry, mark_now())) run_after(frame, CHILD);
  frame_end(registry, frame);
}

/*
 * A module that is imported later, as threading or random, has its own functions run after ours.  So ours are
 * registered once more, and of each kind the latest act: the first of all before a fork, the last after it.
 */

static bool is_latest(PyObject *number) {
  const struct registry *registry = registry_of_interpreter();
  return registry != NULL && PyLong_AsUnsignedLongLong(number) == registry->steps_in;
}

static PyObject *before(PyObject *number, PyObject *unused) {
  (void)unused;
  if (is_latest(number)) run_before(registry_of_interpreter());
  Py_RETURN_NONE;
}

static PyObject *after_in_parent(PyObject *number, PyObject *unused) {
  (void)unused;
  if (is_latest(number)) run_after_in_parent(registry_of_interpreter());
  Py_RETURN_NONE;
}

static PyObject *after_in_child(PyObject *number, PyObject *unused) {
  (void)unused;
  if (is_latest(number)) run_after_in_child(registry_of_interpreter());
  Py_RETURN_NONE;
}

static bool add_function(PyObject *keywords, PyMethodDef *method, PyObject *number) {
  PyObject *function = PyCFunction_New(method, number);
  int error = function == NULL ? -1 : PyDict_SetItemString(keywords, method->ml_name, function);
  Py_XDECREF(function);
  return error == 0;
}

static PyObject *register_functions(PyObject *register_at_fork, PyObject *number) {
  static PyMethodDef methods[] = {
      {"before", before, METH_NOARGS, NULL},
      {"after_in_parent", after_in_parent, METH_NOARGS, NULL},
      {"after_in_child", after_in_child, METH_NOARGS, NULL},
  };
  PyObject *keywords = PyDict_New(), *none = PyTuple_New(0), *result = NULL;
  bool is_good = keywords != NULL && none != NULL;
  for (int i = 0; is_good && i < 3; i++) is_good = add_function(keywords, &methods[i], number);
  if (is_good) result = PyObject_Call(register_at_fork, none, keywords);
  Py_XDECREF(none);
  Py_XDECREF(keywords);
  return result;
}

PyObject *native_step_in(PyObject *register_at_fork) {
  struct registry *registry = registry_of_interpreter();
  if (registry == NULL) Py_RETURN_NONE;
  PyObject *number = PyLong_FromUnsignedLongLong(registry->steps_in + 1);
  PyObject *result = number == NULL ? NULL : register_functions(register_at_fork, number);
  if (result != NULL) registry->steps_in++;
  Py_XDECREF(number);
  return result;
}

/* ---- For callbacks ---- */

PyObject *native_prepared(void) {
  struct registry *registry = registry_of_interpreter();
  struct frame *frame = registry == NULL ? NULL : own_frame(registry);
  if (frame == NULL || frame->running == NULL)
    return PyErr_Format(PyExc_RuntimeError, "prepared() is for parent and child callbacks, while they run");
  Py_ssize_t prepare = frame->running->prepare;
  if (prepare >= 0) return PyBool_FromLong(frame->prepared[prepare]);
  return PyBool_FromLong(frame->running->hook->callbacks[PREPARE] != NULL && frame->prepared_in_c);
}

PyObject *native_report(PyObject *error, PyObject *callback, PyObject *phase) {
  const char *name = PyUnicode_AsUTF8(phase);
  if (name == NULL) return NULL;
  give_exception_back(Py_NewRef(error));
  report(NULL, callback, name);
  Py_RETURN_NONE;
}

PyObject *native_ticket(void) {
  struct registry *registry = registry_of_interpreter();
  struct frame *frame = registry == NULL ? NULL : own_frame(registry);
  return PyLong_FromUnsignedLongLong(frame == NULL ? 0 : frame->ticket);
}

/* ---- For the package ---- */

/* The core counts Python's callbacks too, which do nothing there, and on_child(). */
PyObject *native_poll(void) {
  struct registry *registry = registry_of_interpreter();
  int all = atfork_poll();
  int ours = registry == NULL ? 0 : catch_up(registry);
  return PyLong_FromLong(all > ours ? all - 1 : ours);
}

PyObject *native_start(void) {
  struct registry *registry = registry_of_interpreter();
  struct filter filter = {.generation = UINT64_MAX, .since = atfork_generation(), .serial = UINT64_MAX};
  if (registry == NULL) return PyLong_FromLong(0);
  catch_up(registry);
  return PyLong_FromLong(run_missed(registry, &filter, CHILD));
}

PyObject *native_spawned(PyObject *token) {
  struct registry *registry = registry_of_interpreter();
  const char *text = token == Py_None ? NULL : PyUnicode_AsUTF8(token);
  if (text == NULL && token != Py_None) return NULL;
  int error = atfork_spawned(text) == 0 ? 0 : errno;
  if (error == 0) made_place_taken();
  if (error == 0 && registry != NULL) catch_up(registry);
  return PyLong_FromLong(error);
}

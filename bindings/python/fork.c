/* SPDX-License-Identifier: MIT */
#include "fork.h"

#include "callbacks.h"
#include "due.h"
#include "made.h"
#include "watch.h"

/* True once in each process.  Callbacks that were due in the parent are not due here. */
static bool is_new(struct registry *registry, uint64_t mark) {
  uint64_t serial;
  if (registry->done == mark) return false;
  registry->done = mark;
  if (registry->is_main) watch_take_parents(&serial);
  frame_keep_own(registry);
  return true;
}

/* Returns how many ran; -1: no memory.  A parent callback is due only if fork(2) ran the core's handlers. */
static int run_missed(struct registry *registry, const struct filter *filter, enum phase phase) {
  struct frame *frame = frame_begin(registry, plan_new(registry, filter));
  if (frame == NULL) return -1;
  frame->prepared_in_c = phase == PARENT || watch_saw_prepare(due_mark());
  int count = run_after(registry, frame, phase);
  frame_end(registry, frame);
  return count;
}

/* Called in a new process; returns how many ran.  Without memory, the next call runs them. */
static int run_missed_children(struct registry *registry, uint64_t mark, uint64_t done_before) {
  int count = run_missed(registry, &(struct filter){.generation = mark - 1, .serial = UINT64_MAX}, CHILD);
  if (count >= 0) return count;
  registry->done = done_before;
  return 0;
}

static void run_missed_parents(struct registry *registry) {
  uint64_t serial;
  for (int due = watch_take_parents(&serial); due > 0; due--) {
    struct filter filter = {.generation = UINT64_MAX, .serial = serial, .unprepared = true};
    if (run_missed(registry, &filter, PARENT) >= 0) continue;
    watch_give_parents_back(due);
    return;
  }
}

/* Runs the callbacks that are due after a fork that Python did not see. */
static int catch_up(struct registry *registry) {
  uint64_t mark = due_mark(), done_before = registry->done;
  if (is_new(registry, mark)) return run_missed_children(registry, mark, done_before);
  if (registry->is_main) run_missed_parents(registry);
  return 0;
}

/*
 * Whether PyOS_AfterFork_Child() is running.  It first stores the thread's new number, then runs this pending call,
 * then the functions that repair threading, random and logging.  Our own function follows.
 */
static bool is_being_told(const struct registry *registry) {
#if PY_VERSION_HEX >= 0x030b0000 && defined(PY_HAVE_THREAD_NATIVE_ID)
  bool is_told = PyThreadState_Get()->native_thread_id == PyThread_get_thread_native_id();
#else
  bool is_told = false;
#endif
  return registry->done != due_mark() && (is_told || frames_armed != 0);
}

int fork_pending(void *unused) {
  (void)unused;
  struct registry *registry = registry_of_interpreter();
  if (registry != NULL && !is_being_told(registry)) catch_up(registry);
  return 0;
}

/* ---- In step with os.register_at_fork() ---- */

/* The registry, if the functions with this number are the latest. */
static struct registry *latest(PyObject *number) {
  struct registry *registry = registry_of_interpreter();
  return registry != NULL && PyLong_AsUnsignedLongLong(number) == registry->steps_in ? registry : NULL;
}

PyObject *native_step_in(void) {
  struct registry *registry = registry_open();
  return registry == NULL ? NULL : PyLong_FromUnsignedLongLong(++registry->steps_in);
}

PyObject *native_before(PyObject *number) {
  struct registry *registry = latest(number);
  struct frame *frame = NULL;
  if (registry == NULL) Py_RETURN_NONE;
  catch_up(registry);
  do {
    if (frame != NULL) frame_end(registry, frame);
    registry_sweep(registry);
    frame = frame_begin(registry, plan_current(registry));
  } while (frame != NULL && !run_prepare(registry, frame));
  if (frame != NULL) frame_arm(frame);
  Py_RETURN_NONE;
}

/* If code between `before` and the fork has forked, its child calls this, too. */
PyObject *native_after_in_parent(PyObject *number) {
  struct registry *registry = latest(number);
  struct frame *frame = registry == NULL ? NULL : frame_disarm(registry);
  if (frame == NULL) Py_RETURN_NONE;
  if (is_new(registry, due_mark())) run_after(registry, frame, CHILD);
  run_after(registry, frame, PARENT);
  frame_end(registry, frame);
  Py_RETURN_NONE;
}

/* Also called if C code forks, and then calls PyOS_AfterFork_Child(). */
PyObject *native_after_in_child(PyObject *number) {
  struct registry *registry = latest(number);
  struct frame *frame = registry == NULL ? NULL : frame_disarm(registry);
  if (frame != NULL) {
    if (is_new(registry, due_mark())) run_after(registry, frame, CHILD);
    frame_end(registry, frame);
  } else if (registry != NULL) {
    catch_up(registry);
  }
  Py_RETURN_NONE;
}

/* ---- For the package ---- */

/* The core also counts Python's callbacks, which do nothing there, and the hook that watches. */
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
  int count = run_missed(registry, &filter, CHILD);
  return count < 0 ? PyErr_NoMemory() : PyLong_FromLong(count);
}

PyObject *native_arrived(void) {
  struct registry *registry = registry_of_interpreter();
  made_place_taken();
  if (registry != NULL) catch_up(registry);
  Py_RETURN_NONE;
}

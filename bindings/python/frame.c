/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <time.h>

_Thread_local unsigned frames_armed __attribute__((tls_model("initial-exec")));

/* 0: this context has no ticket, or there was no memory. */
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

/* The thread is compared, too, as a context may be a copy of another thread's. */
struct frame *frame_own(const struct registry *registry) {
  if (registry->frames == NULL) return NULL;
  uint64_t ticket = context_ticket(registry);
  unsigned long thread = PyThread_get_thread_ident();
  struct frame *frame = ticket == 0 ? NULL : registry->frames;
  while (frame != NULL && (frame->ticket != ticket || frame->thread != thread)) frame = frame->next;
  return frame;
}

bool frame_is_here(const struct registry *registry) {
  unsigned long thread = PyThread_get_thread_ident();
  const struct frame *frame = registry->frames;
  while (frame != NULL && frame->thread != thread) frame = frame->next;
  return frame != NULL;
}

/* ---- From its begin to its end ---- */

static struct frame *new_frame(const struct registry *registry, struct plan *plan) {
  struct frame *frame = PyMem_RawCalloc(1, sizeof *frame + (size_t)plan->counts[PREPARE]);
  if (frame == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  frame->next = registry->frames;
  frame->plan = plan;
  frame->thread = PyThread_get_thread_ident();
  frame->ticket = registry->ticket + 1;
  frame->outer = context_ticket(registry);
  frame->serial = registry->serial;
  return frame;
}

struct frame *frame_begin(struct registry *registry, struct plan *plan) {
  struct frame *frame = plan == NULL ? NULL : new_frame(registry, plan);
  if (frame != NULL && set_context_ticket(registry, frame->ticket)) {
    registry->ticket++;
    return registry->frames = frame;
  }
  PyErr_WriteUnraisable(NULL);
  PyMem_RawFree(frame);
  plan_release(plan);
  return NULL;
}

static void free_frame(struct frame *frame) {
  plan_release(frame->plan);
  PyMem_RawFree(frame);
}

void frame_end(struct registry *registry, struct frame *frame) {
  struct frame **at = &registry->frames;
  while (*at != frame) at = &(*at)->next;
  *at = frame->next;
  if (!set_context_ticket(registry, frame->outer)) PyErr_WriteUnraisable(NULL);
  free_frame(frame);
  registry_sweep(registry);
}

void frame_keep_own(struct registry *registry) {
  unsigned long thread = PyThread_get_thread_ident();
  for (struct frame **at = &registry->frames; *at != NULL;) {
    struct frame *frame = *at;
    if (frame->thread == thread) {
      at = &frame->next;
    } else {
      *at = frame->next;
      free_frame(frame);
    }
  }
}

void frame_arm(struct frame *frame) {
  frame->prepared_in_c = true;
  frame->is_armed = true;
  frames_armed++;
}

/* Used if the context has changed: C code may prepare in one thread state, and return in another. */
static struct frame *latest_armed(const struct registry *registry) {
  unsigned long thread = PyThread_get_thread_ident();
  struct frame *frame = registry->frames;
  while (frame != NULL && (frame->thread != thread || !frame->is_armed)) frame = frame->next;
  if (frame != NULL && !set_context_ticket(registry, frame->ticket)) PyErr_WriteUnraisable(NULL);
  return frame;
}

struct frame *frame_disarm(const struct registry *registry) {
  struct frame *frame = frame_own(registry);
  if (frame == NULL || !frame->is_armed) frame = latest_armed(registry);
  if (frame == NULL) return NULL;
  frame->is_armed = false;
  frames_armed--;
  return frame;
}

/* ---- Waiting for others' ---- */

static bool is_under_way(const struct registry *registry, uint64_t ticket, uint64_t serial) {
  for (const struct frame *frame = registry->frames; frame != NULL; frame = frame->next)
    if (frame->ticket <= ticket && frame->serial >= serial) return true;
  return false;
}

void frame_wait(struct registry *registry, uint64_t serial) {
  uint64_t ticket = registry->ticket;
  for (long pause = 1000; is_under_way(registry, ticket, serial); pause = pause < 500000 ? 2 * pause : 1000000) {
    Py_BEGIN_ALLOW_THREADS;
    nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    Py_END_ALLOW_THREADS;
  }
}

/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <stdatomic.h>

#include "due.h"
#include "frame.h"

/* Written inside fork(2), by any thread. */
static _Atomic bool is_open; /* the main interpreter, for pending calls */
static _Atomic bool is_scheduled;
static _Atomic int parents_due;
static _Atomic uint64_t parents_serial;

/* How many forks of this thread are between prepare and parent or child, inside fork(2). */
static _Thread_local unsigned preparing __attribute__((tls_model("initial-exec")));

/* The mark of a process that was made by one of these. */
static uint64_t prepared_mark;

static int (*on_pending)(void *unused);
static atfork_id own;

static int make_call(void *unused) {
  atomic_store(&is_scheduled, false);
  return atomic_load(&is_open) ? on_pending(unused) : 0;
}

/*
 * Called before the fork, so that the child finds the call in its queue, and takes no lock that a lost thread may have
 * held.  After the fork it is called again, in case the main thread has already run the call.
 */
static void schedule(void) {
  if (!atomic_load(&is_open) || atomic_exchange(&is_scheduled, true)) return;
  if (Py_AddPendingCall(make_call, NULL) != 0) atomic_store(&is_scheduled, false);
}

static void on_prepare(void *unused) {
  (void)unused;
  preparing++;
  if (frames_armed == 0) schedule();
}

static void on_parent(void *unused) {
  (void)unused;
  preparing--;
  if (frames_armed != 0) return;
  atomic_store(&parents_serial, atomic_load(&registry_latest_serial));
  atomic_fetch_add(&parents_due, 1);
  schedule();
}

/* Also called at a poll, where nothing was prepared. */
static void on_child(void *unused) {
  (void)unused;
  bool is_prepared = preparing != 0;
  if (is_prepared) preparing--;
  if (frames_armed != 0) return;
  if (is_prepared) prepared_mark = due_mark();
  schedule();
}

bool watch_saw_prepare(uint64_t mark) {
  return prepared_mark == mark;
}

int watch_take_parents(uint64_t *serial) {
  *serial = atomic_load(&parents_serial);
  return atomic_exchange(&parents_due, 0);
}

void watch_give_parents_back(int count) {
  atomic_fetch_add(&parents_due, count);
}

bool watch_is_own(const struct atfork_hook *hook) {
  return hook->child == on_child;
}

/* First to be prepared. */
bool watch_begin(int (*pending)(void *unused)) {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) atomic_store(&is_open, true);
  if (own != 0) return true;
  on_pending = pending;
  own = atfork_register(&(struct atfork_hook){.name = "python",
                                              .priority = ATFORK_PRIORITY_MAX,
                                              .prepare = on_prepare,
                                              .parent = on_parent,
                                              .child = on_child});
  return own != 0;
}

void watch_close(void) {
  atomic_store(&is_open, false);
}

void watch_end(void) {
  watch_close();
  atfork_unregister(own);
  own = 0;
}

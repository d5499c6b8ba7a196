/* SPDX-License-Identifier: MIT */
#include "job.h"

#include <atfork.h>
#include <ruby.h>
#include <ruby/debug.h>
#include <ruby/version.h>
#include <ruby/vm.h>
#include <stdatomic.h>

#include "native.h"

/* Whether this thread is inside Process._fork, whose caller runs the callbacks itself.  Written by this thread alone; a
 * child's thread inherits it. */
static _Thread_local bool is_not_wanted __attribute__((tls_model("initial-exec")));

/* Set after a hook's word, and cleared before the words are read. */
static _Atomic bool any_due;

/* Ruby has ended: libraries that are finalised after it may still fork. */
static _Atomic bool vm_ended;

static VALUE on_due = Qnil;

/* ---- The postponed job ---- */

static void run_job(void *unused) {
  (void)unused;
  if (!NIL_P(on_due)) rb_funcall(on_due, rb_intern("call"), 0);
}

#if RUBY_API_VERSION_CODE >= 30300
static rb_postponed_job_handle_t job;

static void make_job(void) {
  job = rb_postponed_job_preregister(0, run_job, NULL);
  if (job == POSTPONED_JOB_HANDLE_INVALID)
    rb_raise(rb_eLoadError, "atfork needs a postponed job, and other extensions have used all that Ruby has");
}

static void trigger(void) {
  rb_postponed_job_trigger(job);
}
#else
static void make_job(void) {
}

static void trigger(void) {
  rb_postponed_job_register_one(0, run_job, NULL);
}
#endif

/* ---- For hook.c ---- */

bool job_is_wanted(void) {
  return !is_not_wanted && !atomic_load(&vm_ended);
}

void job_post(void) {
  atomic_store(&any_due, true);
  trigger();
}

bool job_take(void) {
  return atomic_exchange(&any_due, false);
}

/* ---- For AtFork ---- */

static VALUE fork_of_ruby(VALUE unused) {
  (void)unused;
  return rb_funcall(rb_mProcess, rb_intern("_fork_of_ruby"), 0);
}

/* If a callback in C has made this process by a bypassing fork, the caller runs the child callbacks, too. */
static VALUE wanted_again(VALUE unused) {
  (void)unused;
  (void)atfork_poll();
  is_not_wanted = false;
  return Qnil;
}

VALUE native_fork(void) {
  is_not_wanted = true;
  return rb_ensure(fork_of_ruby, Qnil, wanted_again, Qnil);
}

static void on_vm_end(ruby_vm_t *vm) {
  (void)vm;
  atomic_store(&vm_ended, true);
}

void job_init(void) {
  make_job(); /* first, as it may raise */
  rb_gc_register_address(&on_due);
  ruby_vm_at_exit(on_vm_end);
}

VALUE native_when_due(VALUE callable) {
  on_due = callable;
  return Qnil;
}

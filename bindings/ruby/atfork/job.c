/* SPDX-License-Identifier: MIT */
#include "job.h"

#include <ruby.h>
#include <ruby/debug.h>
#include <ruby/version.h>
#include <ruby/vm.h>
#include <stdatomic.h>

#include "due.h"
#include "hook.h"
#include "native.h"
#include "vm.h"

_Thread_local bool job_not_wanted;

/* Whether any hook may have something due.  Set after the hook's word, and taken before the words are looked at. */
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
    rb_raise(rb_eLoadError, "atfork needs a postponed job, and other extensions have taken all that Ruby has room for");
}

static void post_job(void) {
  rb_postponed_job_trigger(job);
}
#else
static void make_job(void) {
}

static void post_job(void) {
  rb_postponed_job_register_one(0, run_job, NULL);
}
#endif

/* ---- Inside fork() ---- */

static void note(struct hook *hook, enum phase phase) {
  due_add(&hook->due, due_mark(), phase, false);
  atomic_store(&any_due, true);
  post_job();
}

/* Where prepare could not run, its parent does not either. */
void job_parent(void *hook) {
  if (!job_not_wanted && !atomic_load(&vm_ended) && !hook_is_scripted(hook, PREPARE)) note(hook, PARENT);
}

/* In the child of Process._fork this reads nothing of the hook's: with many, each would cost a miss of the cache. */
void job_child(void *hook) {
  if (!job_not_wanted && !atomic_load(&vm_ended)) note(hook, CHILD);
}

/* ---- For AtFork ---- */

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

VALUE native_take_due(VALUE hooks) {
  if (!atomic_exchange(&any_due, false)) return Qnil;
  VALUE children = rb_ary_new(), parents = rb_ary_new();
  uint64_t mark = due_mark();
  for (long i = 0; i < RARRAY_LEN(hooks); i++) {
    VALUE hook = RARRAY_AREF(hooks, i);
    struct due due = due_take(&hook_of(hook)->due, mark);
    if (due.child) rb_ary_push(children, hook);
    for (uint32_t n = due.parents; n > 0; n--) rb_ary_push(parents, hook);
  }
  if (RARRAY_LEN(children) > 0) vm_settle();
  return rb_assoc_new(children, parents);
}

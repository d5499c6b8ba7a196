/* SPDX-License-Identifier: MIT */
#include "due.h"

#include <ruby.h>
#include <ruby/debug.h>
#include <ruby/version.h>
#include <ruby/vm.h>
#include <stdatomic.h>

#include "hook.h"
#include "native.h"
#include "vm.h"

_Thread_local bool due_by_caller;

/* Whether any hook may have something due.  Set after the hook's own mark, and taken before the marks are looked at. */
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

static void note(void) {
  atomic_store(&any_due, true);
  post_job();
}

/* Where prepare could not run, its parent does not either. */
void due_parent(void *data) {
  struct hook *hook = data;
  if (due_by_caller || atomic_load(&vm_ended) || hook_is_scripted(hook, PREPARE)) return;
  atomic_fetch_add(&hook->parents_due, 1);
  note();
}

/* In the child of Process._fork this reads nothing of the hook's: with many, each would cost a miss of the cache. */
void due_child(void *data) {
  struct hook *hook = data;
  if (due_by_caller || atomic_load(&vm_ended)) return;
  /* What the parent had not come to is not ours. */
  atomic_store(&hook->parents_due, 0);
  atomic_store(&hook->child_due, true);
  note();
}

/* ---- For AtFork ---- */

static void on_vm_end(ruby_vm_t *vm) {
  (void)vm;
  atomic_store(&vm_ended, true);
}

void due_init(void) {
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
  for (long i = 0; i < RARRAY_LEN(hooks); i++) {
    VALUE object = RARRAY_AREF(hooks, i);
    struct hook *hook = hook_of(object);
    if (atomic_exchange(&hook->child_due, false)) rb_ary_push(children, object);
    for (int n = atomic_exchange(&hook->parents_due, 0); n > 0; n--) rb_ary_push(parents, object);
  }
  if (RARRAY_LEN(children) > 0) vm_settle();
  return rb_assoc_new(children, parents);
}

VALUE native_drop_due(VALUE hooks) {
  native_take_due(hooks);
  return Qnil;
}

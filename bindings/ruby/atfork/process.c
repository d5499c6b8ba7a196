/* SPDX-License-Identifier: MIT */
/*
 * Process._fork, replaced.  Others prepend to it, before us or after: what they do comes around what we do, so that
 * between our callbacks and fork() itself there is nothing that could fork.
 */
#include <ruby.h>
#include <ruby/ractor.h>

#include "job.h"
#include "native.h"
#include "process.h"

/* The method that Ruby came with, and who runs the callbacks around it. */
static VALUE original = Qnil;
static VALUE forks = Qnil;

/* Not NULL in the main Ractor, whose the callbacks are. */
static rb_ractor_local_key_t in_main_ractor;

static VALUE call_original(VALUE unused) {
  (void)unused;
  return rb_method_call(0, NULL, original);
}

static VALUE no_longer_by_caller(VALUE unused) {
  (void)unused;
  job_not_wanted = false;
  return Qnil;
}

VALUE native_fork(void) {
  job_not_wanted = true;
  return rb_ensure(call_original, Qnil, no_longer_by_caller, Qnil);
}

/* In another Ractor nothing of the main one's may be called.  In the child it is the main one, and the only one. */
static VALUE fork_in_ractor(void) {
  VALUE pid = call_original(Qnil);
  if (pid == INT2FIX(0)) {
    rb_ractor_local_storage_ptr_set(in_main_ractor, &in_main_ractor);
    rb_funcall(forks, rb_intern("run_due"), 0);
  }
  return pid;
}

static VALUE process_fork(VALUE process) {
  (void)process;
  if (rb_ractor_local_storage_ptr(in_main_ractor) == NULL) return fork_in_ractor();
  return rb_funcall(forks, rb_intern("fork"), 0);
}

void process_init(void) {
  rb_gc_register_address(&original);
  rb_gc_register_address(&forks);
  in_main_ractor = rb_ractor_local_storage_ptr_newkey(NULL);
  rb_ractor_local_storage_ptr_set(in_main_ractor, &in_main_ractor);
}

VALUE native_replace_fork(VALUE method, VALUE runner) {
  if (!NIL_P(original)) return Qfalse;
  original = method;
  forks = runner;
  VALUE verbose = ruby_verbose;
  ruby_verbose = Qnil; /* or it warns that there was one */
  rb_ext_ractor_safe(true);
  rb_define_singleton_method(rb_mProcess, "_fork", process_fork, 0);
  rb_ext_ractor_safe(false);
  ruby_verbose = verbose;
  return Qtrue;
}

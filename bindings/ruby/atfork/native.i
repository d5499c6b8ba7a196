/* SPDX-License-Identifier: MIT */
/* AtFork::Native: what the Ruby part of the binding is written on. */
%module native

%{
#include "job.h"
#include "hook.h"
#include "kept.h"
#include "native.h"
#include "process.h"
#include "symbol.h"
#include "vm.h"
%}

/* A lineage is shorter than that, however deep the process. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "$result = rb_str_new($1, result);"

/* Who this process is may be asked in every Ractor. */
%init %{
  rb_ext_ractor_safe(true);
%}

%include "../../atfork.i"

int atfork_token(char *buf, size_t size);

%init %{
  rb_ext_ractor_safe(false);
  hook_init();
  job_init();
  kept_init();
  process_init();
  vm_init();
  symbol_init();
%}

%rename("%(strip:[native_])s") "";

VALUE native_register(VALUE hooks, VALUE name, VALUE priority, VALUE key, VALUE prepare, VALUE parent, VALUE child);
VALUE native_state(void);
VALUE native_remove(VALUE hooks, VALUE keys, VALUE hook);
VALUE native_claim(VALUE keys, VALUE hook);
VALUE native_unregister(VALUE hook);
VALUE native_unregister_later(VALUE hook);
VALUE native_attach(VALUE owner, VALUE object);
VALUE native_callable(VALUE hook, VALUE phase);
VALUE native_prepares(VALUE hook);
VALUE native_when_due(VALUE callable);
VALUE native_take_due(VALUE hooks);
VALUE native_replace_fork(VALUE method, VALUE runner);
VALUE native_fork(void);
VALUE native_lock(VALUE box);
VALUE native_spawned(VALUE token);
VALUE native_hooks(void);
VALUE native_symbol(VALUE library, VALUE name);
VALUE native_keep_library(VALUE address);
VALUE native_keep(VALUE value);
VALUE native_let_go(VALUE kept);
VALUE native_inherited(void);
VALUE native_reachable(VALUE values, VALUE classes, VALUE objects);
VALUE native_undefine_finalizers(VALUE objects);
VALUE native_empty(VALUE objects);

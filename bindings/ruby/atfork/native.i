/* SPDX-License-Identifier: MIT */
/* AtFork::Native: what the Ruby part of the binding is written on. */
%module native

%{
#include "made.h"
#include "native.h"
%}

/* A lineage is shorter than that, however deep the process. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "$result = rb_str_new($1, result);"

%typemap(in) const char *token "$1 = NIL_P($input) ? NULL : StringValueCStr($input);"
%typemap(out) int atfork_spawned "if ($1 != 0) rb_sys_fail(\"$symname\"); $result = Qnil;"
%exception atfork_spawned {
  $action
  if (result == 0) made_place_taken();
}

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
  symbol_init();
%}

int atfork_spawned(const char *token);

/* Ruby's: for whoever has forked without it. */
void rb_thread_atfork(void);

%rename("%(strip:[native_])s") "";

%include "native.h"

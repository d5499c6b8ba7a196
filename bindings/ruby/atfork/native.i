/* SPDX-License-Identifier: MIT */
/* AtFork::Native: what the Ruby part of the binding is written on. */
%module native

%{
#include "made.h"
#include "native.h"
#include "place.h"
%}

/* Texts are shorter than that, however deep the process; but for what a launcher says, which may be cut off. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "$result = rb_str_new_cstr($1);"
%typemap(out) int atfork_lineage, int atfork_token, int atfork_child_token, int atfork_launcher %{
  if ($1 < 0) rb_sys_fail("$symname");
  $result = Qnil;
%}

%typemap(in) (void *buf, size_t size) (VALUE bytes) {
  $2 = NUM2SIZET($input);
  bytes = rb_str_new(NULL, (long)$2);
  $1 = RSTRING_PTR(bytes);
}
%typemap(argout) (void *buf, size_t size) "$result = bytes$argnum;"

/* Nullable. */
%typemap(in) const char *token, const char *rank "$1 = NIL_P($input) ? NULL : StringValueCStr($input);"
%typemap(out) int atfork_spawned, int atfork_adopt "if ($1 != 0) rb_sys_fail(\"$symname\"); $result = Qnil;"
%define TAKES_A_PLACE(function)
%exception function {
  $action
  if (result == 0) made_place_taken();
}
%enddef
TAKES_A_PLACE(atfork_spawned)
TAKES_A_PLACE(atfork_adopt)

%typemap(out) enum atfork_place "$result = ID2SYM(rb_intern(place_words[$1]));"

/* Who this process is may be asked in every Ractor. */
%init %{
  rb_ext_ractor_safe(true);
%}

%include "../../atfork.i"

bool place_is_to_be_warned_of(void);

%init %{
  rb_ext_ractor_safe(false);
  hook_init();
  job_init();
  kept_init();
  symbol_init();
%}


/* Ruby's: for whoever has forked without it. */
void rb_thread_atfork(void);

%rename("%(strip:[native_])s") "";

%include "native.h"

/* SPDX-License-Identifier: MIT */
/* AtFork::Native: what atfork.rb is written on. */
%module native

%{
#include "hooks.h"
%}

/* A lineage is shorter than that, however deep the process. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "$result = rb_str_new($1, result);"

%include "../../atfork.i"

%rename("%(strip:[native_])s") "";

VALUE native_register(VALUE name, VALUE priority, VALUE callbacks);
VALUE native_unregister(VALUE id);
VALUE native_hooks(void);
VALUE native_symbol(VALUE library, VALUE name);
VALUE native_forking(VALUE yes);
VALUE native_due(void);
VALUE native_when_due(VALUE callable);

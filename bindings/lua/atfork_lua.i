/* SPDX-License-Identifier: MIT */
%module atfork

%{
#include <errno.h>

#include "native.h"

static const char module_source[] =
#include "module.lua.inc"
    ;

/* Ours name the argument that is missing, and surplus ones are ignored, as Lua does; SWIG's names a function of C. */
#undef SWIG_check_num_args
#define SWIG_check_num_args(name, least, most)

/* Its two global functions are of no use here, and may be another module's. */
#undef SWIG_Lua_add_function
#define SWIG_Lua_add_function(L, name, function) (void)(function)
%}

/* SWIG's own would go through a double. */
%typemap(in) uint64_t "$1 = number_to_uint64(L, $input, \"$symname\");"
%typemap(out) uint64_t "number_push_uint64(L, $1); SWIG_arg++;"
%typemap(out) int "lua_pushinteger(L, $1); SWIG_arg++;"

/* module.lua has checked it. */
%typemap(in) const char *token "$1 = (char *)lua_tostring(L, $input);"

/* A lineage and a token are shorter than that, however deep the process. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "lua_pushlstring(L, $1, (size_t)result); SWIG_arg++;"
%typemap(out) int atfork_lineage, int atfork_token ""
%typemap(out) int atfork_spawned "native_push_fault(L, $1); SWIG_arg++;"

%exception {
  native_enter(L);
  $action
}
%define POLLS(function)
%exception function {
  bool outer = native_polls(L, true);
  $action
  native_polls(L, outer);
}
%enddef
POLLS(atfork_poll)
POLLS(atfork_spawned)

%include "../atfork.i"

int atfork_token(char *buf, size_t size);
int atfork_spawned(const char *token);

%init %{
  native_open(L, module_source, sizeof module_source - 1);
%}

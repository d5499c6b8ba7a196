/* SPDX-License-Identifier: MIT */
%module atfork

%{
#include "module.h"

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

%typemap(in) const char *token "$1 = (char *)module_token(L, $input);"

/* A lineage and a token are shorter than that, however deep the process. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "lua_pushlstring(L, $1, (size_t)result); SWIG_arg++;"
%typemap(out) int atfork_lineage, int atfork_token, int atfork_spawned ""

%exception {
  module_enter(L);
  $action
}
%exception atfork_poll "result = module_poll(L);"
%exception atfork_spawned "result = module_spawned(L, arg1);"

%include "../atfork.i"

int atfork_token(char *buf, size_t size);
int atfork_spawned(const char *token);

%init %{
  module_open(L);
%}

/* SPDX-License-Identifier: MIT */
%module atfork

%{
#include <errno.h>

#include "native.h"
#include "number.h"
#include "place.h"
#include "random.h"

static const char module_source[] =
#include "module.lua.inc"
    ;
static const char random_source[] =
#include "random.lua.inc"
    ;

/* require "atfork.random": Lua looks for it in this library. */
SWIGEXPORT int luaopen_atfork_random(lua_State *L) {
  return random_open(L, random_source, sizeof random_source - 1);
}

/* require "atfork".  SWIG sets its flag before it asks Lua for memory to store its types.  If there was no memory, the
 * flag is cleared, so that the next require starts again. */
#undef SWIG_init
#define SWIG_init atfork_lua_open
SWIGEXPORT int SWIG_init(lua_State *L);

SWIGEXPORT int luaopen_atfork(lua_State *L) {
  if (swig_module.types[0] == NULL) swig_module.next = NULL;
  return SWIG_init(L);
}

/* Our functions name the missing argument, and ignore surplus ones, as Lua does.  SWIG's check names a function of
 * C. */
#undef SWIG_check_num_args
#define SWIG_check_num_args(name, least, most)

/* SWIG's two global functions are not needed, and may belong to another module. */
#undef SWIG_Lua_add_function
#define SWIG_Lua_add_function(L, name, function) (void)(function)
%}

/* SWIG's own would go through a double. */
%typemap(in) uint64_t "$1 = number_to_uint64(L, $input, \"$symname\");"
%typemap(out) uint64_t "number_push_uint64(L, $1); SWIG_arg++;"
%typemap(out) int "lua_pushinteger(L, $1); SWIG_arg++;"

%typemap(out) uint64_t atfork_run "number_push_exactly(L, $1); SWIG_arg++;"
%typemap(out) bool "lua_pushboolean(L, $1); SWIG_arg++;"
%typemap(out) enum atfork_place "lua_pushstring(L, place_words[$1]); SWIG_arg++;"

/* module.lua has checked them. */
%typemap(in) const char *token, const char *rank "$1 = (char *)lua_tostring(L, $input);"
%typemap(in) (void *buf, size_t size) {
  $2 = (size_t)lua_tonumber(L, $input);
  $1 = lua_newuserdata(L, $2);
}
%typemap(argout) (void *buf, size_t size) "lua_pushlstring(L, $1, $2); SWIG_arg++;"

/* Texts are shorter at any depth of the tree.  Only a launcher's text may be cut off. */
%typemap(in, numinputs=0) (char *buf, size_t size) (char text[1024]) "$1 = text; $2 = sizeof text;"
%typemap(argout) (char *buf, size_t size) "if (result >= 0) { lua_pushstring(L, $1); SWIG_arg++; }"
%typemap(out) int atfork_lineage, int atfork_token, int atfork_child_token, int atfork_launcher ""
%typemap(out) int atfork_spawned, int atfork_adopt "native_push_fault(L, $1); SWIG_arg++;"

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
POLLS(atfork_adopt)

%include "../atfork.i"

bool place_is_to_be_warned_of(void);

%init %{
  native_open(L, luaopen_atfork_random, module_source, sizeof module_source - 1);
%}

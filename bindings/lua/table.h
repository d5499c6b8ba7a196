/* SPDX-License-Identifier: MIT */
/*
 * The table that require gives a script: where on_error is set, and what a call with a colon passes.
 */
#ifndef ATFORK_LUA_TABLE_H
#define ATFORK_LUA_TABLE_H

#include <lua.h>

/* Keeps the table on top of the stack, and checks from then on what is set as its on_error. */
void table_open(lua_State *L);

void table_push(lua_State *L);

/* Raises an error that says so when argument 1 of `function` is the table: the script has written a colon for a dot. */
void table_check_dot(lua_State *L, const char *function);

/* Raises an error when the table that is argument `arg` has a field that is not among the `known`, which end with NULL.
 */
void table_check_fields(lua_State *L, int arg, const char *function, const char *const *known);

#endif

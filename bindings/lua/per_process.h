/* SPDX-License-Identifier: MIT */
/*
 * per_process(): a value that each process makes for itself, and that a child leaves alone when its parent made it.
 */
#ifndef ATFORK_LUA_PER_PROCESS_H
#define ATFORK_LUA_PER_PROCESS_H

#include <lua.h>

/* Adds it to the module's table, on top of the stack. */
void per_process_open(lua_State *L);

#endif

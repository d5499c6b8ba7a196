/* SPDX-License-Identifier: MIT */
/*
 * Errors in callbacks: to the module's on_error, or to stderr.
 */
#ifndef ATFORK_LUA_REPORT_H
#define ATFORK_LUA_REPORT_H

#include <lua.h>

#include "hook.h"

/* The error handler of callbacks: turns an error into {error, traceback}. */
int report_handler(lua_State *L);

/* With what the handler gave on top of the stack; takes it away.  The hook is NULL when the callback is no hook's. */
void report_error(lua_State *L, const struct hook *hook, const char *phase);
void report_no_memory(const struct hook *hook, const char *phase);

/* What tostring() makes of the value on top, which stays there below it; that may be gone from the script's globals. */
const char *report_describe(lua_State *L);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Values that another process made, which this one does not finalise: it keeps them, and when the state closes it takes
 * away what would be called.  They lie in cells, tables {generation that made it, value}.
 */
#ifndef ATFORK_LUA_INHERITED_H
#define ATFORK_LUA_INHERITED_H

#include <lua.h>

void inherited_open(lua_State *L);

/* Has a cell of this process be one that its children inherit, if it is still there then. */
void inherited_watch(lua_State *L, int cell);

/* In a child: keeps a cell, or all that were watched; and gives one back to the collector. */
void inherited_keep(lua_State *L, int cell);
void inherited_keep_all(lua_State *L);
void inherited_let_go(lua_State *L, int cell);

/* In a process that has taken another place in the tree: empties all that were watched.  Their values are its own. */
void inherited_empty(lua_State *L);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * States of a program that has Lua inside, and what scripts may call there: trace(), fork(), expect(), wait(), stay()
 * and resource().
 */
#ifndef ATFORK_TEST_STATES_H
#define ATFORK_TEST_STATES_H

#include <lua.h>

#include "forks.h"

#if LUA_VERSION_NUM >= 504
#define resume(thread, from)               \
  do {                                     \
    int results;                           \
    lua_resume(thread, from, 0, &results); \
  } while (0)
#elif LUA_VERSION_NUM >= 502
#define resume(thread, from) lua_resume(thread, from, 0)
#else
#define resume(thread, from) lua_resume(thread, 0)
#endif

/* What ran in this process, a letter each. */
extern char trace[256];

/* stay() opens the one, and waits for the other; make both first. */
extern struct gate entered, leave;

lua_State *open_state(void);

/* The test fails when the script does. */
void run(lua_State *L, const char *script);

/* How many hooks there are, but for the module's own, which stay. */
int hooks(void);

/* A callback that starts a thread, and joins it. */
void start_thread(void *unused);

#endif

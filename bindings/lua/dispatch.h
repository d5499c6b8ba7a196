/* SPDX-License-Identifier: MIT */
/*
 * The core calls these functions for a hook in a fork.  They run the script's callback at once if it may run there, and
 * otherwise later.
 */
#ifndef ATFORK_LUA_DISPATCH_H
#define ATFORK_LUA_DISPATCH_H

#include <atfork.h>

#include "hook.h"

/* The hook that the core gets for a hook whose callbacks are set; name and priority are not set. */
struct atfork_hook dispatch_hook(struct hook *hook);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the core calls for a hook in a fork: at once what may run there, and later what may not.
 */
#ifndef ATFORK_LUA_DISPATCH_H
#define ATFORK_LUA_DISPATCH_H

#include <atfork.h>

#include "hook.h"

/* What the core is to call for a hook that has its callbacks; name and priority are not set. */
struct atfork_hook dispatch_hook(struct hook *hook);

#endif

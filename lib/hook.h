/* SPDX-License-Identifier: MIT */
/*
 * The public functions about hooks, for the table in service.c: atfork_register_for(), atfork_unregister(),
 * atfork_foreach().  And the shared objects that hooks belong to.
 */
#ifndef ATFORK_HOOK_H
#define ATFORK_HOOK_H

#include "atfork.h"

atfork_id atfork_hook_register(const struct atfork_hook *hook, void *dso);
int atfork_hook_unregister(atfork_id id);
int atfork_hook_visit(int (*visit)(const struct atfork_info *info, void *arg), void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Callbacks that most tests need: of hooks, and for atfork_foreach().
 */
#ifndef ATFORK_TEST_CALLBACKS_H
#define ATFORK_TEST_CALLBACKS_H

struct atfork_info;

void nothing(void *unused);

/* Adds one to the int that is its data. */
void increment(void *number);

/* Visits all hooks, and adds one to the int that `number` points to for each. */
int count_hook(const struct atfork_info *info, void *number);

#endif

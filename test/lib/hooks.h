/* SPDX-License-Identifier: MIT */
/* What tests of every system share. */
#ifndef ATFORK_TEST_HOOKS_H
#define ATFORK_TEST_HOOKS_H

/* Ends this process's hooks, so that each test starts with none. */
void unregister_all(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Removes the hooks that an earlier test has left; for every system, also those without forks. */
#ifndef ATFORK_TEST_HOOKS_H
#define ATFORK_TEST_HOOKS_H

/* Ends this process's hooks, so that each test starts with none. */
void unregister_all(void);

#endif

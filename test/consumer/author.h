/* SPDX-License-Identifier: MIT */
/* What the library that uses libatfork optionally offers to the test's host. */
#ifndef AUTHOR_H
#define AUTHOR_H

#include <stdint.h>

#define AUTHOR_PRIORITY 7

#ifdef __cplusplus
extern "C" {
#endif

int author_start(void);
int author_refuses(void); /* whether wrong arguments are refused */
uint64_t author_id(void);
int author_ran(void); /* how often prepare, parent and child have run: a digit each */

#ifdef __cplusplus
}
#endif

#endif

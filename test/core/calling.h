/* SPDX-License-Identifier: MIT */
/* What a program has calling.c call, which it loads. */
#ifndef ATFORK_TEST_CALLING_H
#define ATFORK_TEST_CALLING_H

extern void (*at_load)(void), (*at_unload)(void);

#endif

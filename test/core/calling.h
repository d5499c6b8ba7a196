/* SPDX-License-Identifier: MIT */
/* The functions of a program that calling.c calls, the shared object that the program loads. */
#ifndef ATFORK_TEST_CALLING_H
#define ATFORK_TEST_CALLING_H

extern void (*at_load)(void), (*at_unload)(void);

#endif

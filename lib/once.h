/* SPDX-License-Identifier: MIT */
/*
 * Calls a function once in each process: compares the mark in the control with that of the process.
 */
#ifndef ATFORK_ONCE_H
#define ATFORK_ONCE_H

#include "atfork.h"

/* See atfork_once(). */
void atfork_once_run(struct atfork_once *once, void (*init)(void *data), void *data);

#endif

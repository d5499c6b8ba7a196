/* SPDX-License-Identifier: MIT */
/*
 * Something that is done once in each process: a comparison of marks.
 */
#ifndef ATFORK_ONCE_H
#define ATFORK_ONCE_H

#include "atfork.h"

/* As atfork_once(). */
void atfork_once_run(struct atfork_once *once, void (*init)(void *data), void *data);

#endif

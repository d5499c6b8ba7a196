/* SPDX-License-Identifier: MIT */
/*
 * The values that AtFork.per_process made in this process and in those above it.  A process must not finalise what one
 * above it made: the collector finds those here, whoever has let go of them, by whatever fork the process was made.
 */
#ifndef ATFORK_RUBY_KEPT_H
#define ATFORK_RUBY_KEPT_H

void kept_init(void);

#endif

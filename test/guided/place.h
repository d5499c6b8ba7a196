/* SPDX-License-Identifier: MIT */
/*
 * A process takes a place once.  Here it takes thousands, as what the library has noted of the place is put back each
 * time.  One child hook is registered, which tells how often child hooks have run.
 */
#ifndef ATFORK_GUIDED_PLACE_H
#define ATFORK_GUIDED_PLACE_H

#include <atfork.h>
#include <stdint.h>

/* Of the root. */
extern uint64_t place_run;

/* Makes this process the root again. */
void place_restore(void);

/* Nothing of it has changed; the hook has not run. */
void place_expect_root(void);

/* It is there, with this run, and the hook has run once. */
void place_expect(enum atfork_place place, uint64_t generation, const char *lineage, uint64_t run);

/* Now no other place can be taken. */
void place_expect_settled(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Runs without a model, of which only the invariants are checked: each in a process of its own. */
#ifndef ATFORK_FUZZ_MODES_H
#define ATFORK_FUZZ_MODES_H

#include <stdint.h>

/* Each of the threads takes so many steps. */
void threads_run(uint64_t seed, int steps);

/* So many steps, interrupted by signals. */
void signals_run(uint64_t seed, int steps);

#endif

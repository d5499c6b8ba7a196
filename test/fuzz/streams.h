/* SPDX-License-Identifier: MIT */
/* What doc/streams.md says of seeds and of launchers, once more, in the plainest way. */
#ifndef ATFORK_FUZZ_STREAMS_H
#define ATFORK_FUZZ_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINEAGE_SIZE = 1024, LAUNCHER_TEXT_SIZE = 1 << 17 };

/* What a seed is to be: a function of the base and the lineage. */
uint64_t stream_seed(uint64_t base, const char *text, size_t length);

/* So many bytes of it. */
void stream_bytes(uint64_t base, const char *lineage, void *to, size_t size);

/* Whether printing the number again gives the same text. */
bool stream_number(const char *text, uint64_t *number);

/* What the environment says. */

/* The rank: 0, or an errno. */
int launcher_rank(uint64_t *rank);

/* The run, by ATFORK_RUN alone, or by the launcher, too; false where they say nothing. */
bool launcher_given_run(uint64_t *run);
bool launcher_run(uint64_t *run);

void launcher_show(char to[LAUNCHER_TEXT_SIZE]);

/* Whether a variable of this name means something to any of these. */
bool launcher_knows(const char *name, size_t length);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A token as text: "atfork1:GENERATION:LINEAGE:DIGEST".  The digest is of all that stands before it: it keeps out what
 * was cut off or mistaken for a token, not somebody who means to make one.
 */
#ifndef ATFORK_TOKEN_H
#define ATFORK_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lineage.h"

enum { TOKEN_MAX = 8 + NUMBER_MAX + 1 + LINEAGE_MAX + 1 + DIGEST_SIZE };

/* Writes a token of at most TOKEN_MAX bytes, not terminated; its length. */
size_t atfork_token_write(char *to, uint64_t generation, const char *lineage, size_t length);

/* What a token says; `lineage` points into it. */
struct token {
  uint64_t generation; /* 1 … 2^63 */
  const char *lineage;
  size_t length;
};

/* False for what atfork_token_write() has not written. */
bool atfork_token_read(const char *text, struct token *token);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A token as text: "atfork2:RUN:GENERATION:LINEAGE:DIGEST".  The digest is of all text before it.  It detects a token
 * that was cut off, and text that is no token.  It does not keep anyone from making a token.
 */
#ifndef ATFORK_TOKEN_H
#define ATFORK_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lineage.h"

enum { TOKEN_MAX = 8 + DIGEST_SIZE + 1 + NUMBER_MAX + 1 + LINEAGE_MAX + 1 + DIGEST_SIZE };

/* The contents of a token.  When a token was read, `lineage` points into its text. */
struct token {
  uint64_t run;
  uint64_t generation; /* 1 … TOKEN_DEEPEST */
  const char *lineage;
  size_t length;
};

static const uint64_t TOKEN_DEEPEST = UINT64_C(1) << 63;

/* Writes a token of at most TOKEN_MAX bytes, not terminated.  Returns its length. */
size_t atfork_token_write(char *to, const struct token *token);

/* Reads a token; false if atfork_token_write() cannot have written it. */
bool atfork_token_read(const char *text, struct token *token);

/* Writes the token of the child with this number of the process that `parent` names. */
size_t atfork_token_write_child(char *to, const struct token *parent, uint64_t number);

#endif

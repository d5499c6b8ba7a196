/* SPDX-License-Identifier: MIT */
/* What tokens are, in the plainest way, and without a line of the library's. */
#ifndef ATFORK_GUIDED_REFERENCE_H
#define ATFORK_GUIDED_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LONGEST_LINEAGE = 920, LONGEST_TOKEN = 1024, DIGITS = 16 };

struct reference_token {
  uint64_t run, generation;
  char lineage[LONGEST_LINEAGE + 1];
};

/* Whether `text` is a token, and what it says. */
bool reference_read(const char *text, struct reference_token *token);

/* Writes the token, terminated; its length. */
size_t reference_write(char to[LONGEST_TOKEN], const struct reference_token *token);

/* What the child with this number has. */
struct reference_token reference_child(const struct reference_token *parent, uint64_t number);

#endif

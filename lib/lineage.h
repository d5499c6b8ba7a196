/* SPDX-License-Identifier: MIT */
/*
 * A lineage as text: "0", "0.1", "0.p4711", "0.r3", "~89abcdef01234567.3".  Of the C library only memcpy() is called: a
 * child writes its lineage inside fork(), where the first access to a page costs a fault.
 */
#ifndef ATFORK_LINEAGE_H
#define ATFORK_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  LINEAGE_MAX = 920, /* bytes; lineages are not terminated */
  NUMBER_MAX = 20,   /* digits */
  DIGEST_SIZE = 16,  /* digits */
};

/* Writes the lineage of the child with this number, or, if `by_pid`, with this pid.  Returns its length, at most
 * LINEAGE_MAX. */
size_t atfork_lineage_of_child(char *to, const char *from, size_t length, bool by_pid, uint64_t number);

/* Writes the lineage of the worker to which its launcher has given this number.  Returns its length. */
size_t atfork_lineage_of_rank(char *to, uint64_t rank);

/* Whether `text` is a lineage that the functions above may have written, or that of the root. */
bool atfork_lineage_is_valid(const char *text, size_t length);

/* A hash of both; all its bits are equally good. */
uint64_t atfork_lineage_hash(uint64_t base, const char *text, size_t length);

/* Write decimal digits, or DIGEST_SIZE hexadecimal digits.  Return how many. */
size_t atfork_put_number(char *to, uint64_t number);
size_t atfork_put_digest(char *to, uint64_t digest);

/* Reads a number that atfork_put_number() may have written, up to `end`.  Returns where it ends, or NULL. */
const char *atfork_read_number(const char *text, const char *end, uint64_t *number);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A lineage as text: "0", "0.1", "0.p4711", "0.r3", "~89abcdef01234567.3".  Nothing here calls the C library but
 * memcpy(): a child writes its lineage inside fork(), where each page that is touched first costs a fault.
 */
#ifndef ATFORK_LINEAGE_H
#define ATFORK_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  LINEAGE_MAX = 920, /* bytes; none is terminated */
  NUMBER_MAX = 20,   /* digits */
  DIGEST_SIZE = 16,  /* digits */
};

/* Writes the lineage of a child: of the one with this number, or of that with this pid; its length, LINEAGE_MAX at the
 * most. */
size_t atfork_lineage_of_child(char *to, const char *from, size_t length, bool by_pid, uint64_t number);

/* Writes the lineage of the worker that its launcher has given this number. */
size_t atfork_lineage_of_rank(char *to, uint64_t rank);

/* Whether it is one that these may have made, or the root's. */
bool atfork_lineage_is_valid(const char *text, size_t length);

/* A good mixture of both, of which each bit is as good as another. */
uint64_t atfork_lineage_hash(uint64_t base, const char *text, size_t length);

/* Write digits; how many.  The hexadecimal ones are always DIGEST_SIZE. */
size_t atfork_put_number(char *to, uint64_t number);
size_t atfork_put_digest(char *to, uint64_t digest);

/* Reads what atfork_put_number() may have written, before `end`; where that ends, or NULL. */
const char *atfork_read_number(const char *text, const char *end, uint64_t *number);

#endif

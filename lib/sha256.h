/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4, 6.2), and the stream of bytes that MGF1 makes with it (RFC 8017, B.2.1). */
#ifndef ATFORK_SHA256_H
#define ATFORK_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 /* bytes */ };

void atfork_sha256(uint8_t digest[SHA256_SIZE], const uint8_t *message, size_t length);

/* Fills `to`.  The seed has `length` bytes, and room for a counter of 4 bytes after them. */
void atfork_mgf1(uint8_t *to, size_t size, uint8_t *seed, size_t length);

#endif

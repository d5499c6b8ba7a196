/* SPDX-License-Identifier: MIT */
#include "sha256.h"

#include <string.h>

enum { HASH_BLOCK = 64, WORDS = 8, ROUNDS = 64, LENGTH_SIZE = 8 };

static const uint32_t first_state[WORDS] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const uint32_t constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t bits, unsigned by) {
  return bits >> by | bits << (32 - by);
}

static uint32_t get_word(const uint8_t *from) {
  return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void put_word(uint8_t *to, uint32_t bits) {
  for (unsigned i = 0; i < 4; i++) to[i] = (uint8_t)(bits >> (24 - 8 * i));
}

static void schedule(uint32_t w[ROUNDS], const uint8_t *block) {
  for (size_t i = 0; i < 16; i++) w[i] = get_word(block + 4 * i);
  for (unsigned i = 16; i < ROUNDS; i++) {
    uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
}

/* The standard's names: its working variables a to h are v[0] to v[7]. */
static void compress(uint32_t state[WORDS], const uint8_t *block) {
  uint32_t w[ROUNDS], v[WORDS];
  schedule(w, block);
  memcpy(v, state, sizeof v);
  for (unsigned i = 0; i < ROUNDS; i++) {
    uint32_t sum1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
    uint32_t sum0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
    uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
    uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    uint32_t t1 = v[7] + sum1 + choice + constants[i] + w[i];
    memmove(v + 1, v, (WORDS - 1) * sizeof *v);
    v[4] += t1;
    v[0] = t1 + sum0 + majority;
  }
  for (unsigned i = 0; i < WORDS; i++) state[i] += v[i];
}

/* Compresses the last blocks: the rest of the message, a one bit, zeros, and the message's length in bits. */
static void compress_last(uint32_t state[WORDS], const uint8_t *rest, size_t left, uint64_t bits) {
  uint8_t last[2 * HASH_BLOCK] = {0};
  size_t size = left + 1 + LENGTH_SIZE <= HASH_BLOCK ? HASH_BLOCK : 2 * HASH_BLOCK;
  memcpy(last, rest, left);
  last[left] = 0x80;
  put_word(last + size - 8, (uint32_t)(bits >> 32));
  put_word(last + size - 4, (uint32_t)bits);
  for (size_t i = 0; i < size; i += HASH_BLOCK) compress(state, last + i);
}

void atfork_sha256(uint8_t digest[SHA256_SIZE], const uint8_t *message, size_t length) {
  uint32_t state[WORDS];
  size_t done = 0;
  memcpy(state, first_state, sizeof state);
  for (; length - done >= HASH_BLOCK; done += HASH_BLOCK) compress(state, message + done);
  compress_last(state, message + done, length - done, 8 * (uint64_t)length);
  for (size_t i = 0; i < WORDS; i++) put_word(digest + 4 * i, state[i]);
}

void atfork_mgf1(uint8_t *to, size_t size, uint8_t *seed, size_t length) {
  uint8_t digest[SHA256_SIZE];
  for (uint32_t counter = 0; size > 0; counter++) {
    size_t part = size < sizeof digest ? size : sizeof digest;
    put_word(seed + length, counter);
    atfork_sha256(digest, seed, length + 4);
    memcpy(to, digest, part);
    to += part;
    size -= part;
  }
}

/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <inttypes.h>
#include <stdio.h>

/* xoshiro256**, of Blackman and Vigna */
static uint64_t rotate(uint64_t x, int k) {
  return x << k | x >> (64 - k);
}

static uint64_t next(uint64_t s[4]) {
  uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

int main(void) {
  uint64_t state[4];
  atfork_seed_bytes(42, state, sizeof state);
  uint64_t first = next(state), second = next(state);
  puts(first != second ? "two numbers" : "no numbers");
  return 0;
}

/* prints:
two numbers
*/

/* SPDX-License-Identifier: MIT */
#include "lineage.h"

#include <assert.h>

_Static_assert(LINEAGE_MAX > 1 + DIGEST_SIZE + 2 + NUMBER_MAX, "a digest and a number fit");

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* SplitMix64's output function (variant 13 of David Stafford's mixers): a bijection of 64 bits. */
static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t atfork_lineage_hash(uint64_t base, const char *text, size_t length) {
  const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t state = mix(base + golden);
  for (size_t i = 0; i < length; i++) state = mix(state + golden + (unsigned char)text[i]);
  return state;
}

size_t atfork_put_number(char *to, uint64_t number) {
  char digits[NUMBER_MAX];
  size_t count = 0;
  do {
    digits[count++] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  for (size_t i = 0; i < count; i++) to[i] = digits[count - 1 - i];
  return count;
}

const char *atfork_read_number(const char *text, const char *end, uint64_t *number) {
  uint64_t value = 0;
  const char *at = text;
  for (; at < end && is_digit(*at); at++) {
    unsigned digit = (unsigned)(*at - '0');
    if (value > (UINT64_MAX - digit) / 10) return NULL;
    value = 10 * value + digit;
  }
  *number = value;
  return at == text || (*text == '0' && at - text > 1) ? NULL : at;
}

size_t atfork_put_digest(char *to, uint64_t digest) {
  for (unsigned i = 0; i < DIGEST_SIZE; i++) {
    unsigned digit = (unsigned)(digest >> (60 - 4 * i)) & 15;
    to[i] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
  }
  return DIGEST_SIZE;
}

/* A lineage that has no room for one more number is replaced by its digest, which is short and, as far as hashes
 * differ, unique. */
static size_t put_parent(char *to, const char *from, size_t length) {
  if (length + 2 + NUMBER_MAX <= LINEAGE_MAX) {
    for (size_t i = 0; i < length; i++) to[i] = from[i];
    return length;
  }
  to[0] = '~';
  return 1 + atfork_put_digest(to + 1, atfork_lineage_hash(0, from, length));
}

size_t atfork_lineage_of_child(char *to, const char *from, size_t length, bool by_pid, uint64_t number) {
  size_t end = put_parent(to, from, length);
  to[end++] = '.';
  if (by_pid) to[end++] = 'p';
  end += atfork_put_number(to + end, number);
  assert(end <= LINEAGE_MAX);
  return end;
}

size_t atfork_lineage_of_rank(char *to, uint64_t rank) {
  to[0] = '0';
  to[1] = '.';
  to[2] = 'r';
  return 3 + atfork_put_number(to + 3, rank);
}

static bool is_hexadecimal(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* Skips "0", or a digest, which must be followed by a child. */
static size_t skip_root(const char *text, size_t length) {
  if (length >= 1 && text[0] == '0') return 1;
  if (length <= 1 + DIGEST_SIZE || text[0] != '~') return 0;
  for (size_t i = 1; i <= DIGEST_SIZE; i++)
    if (!is_hexadecimal(text[i])) return 0;
  return 1 + DIGEST_SIZE;
}

/* Where the number that begins at `start` ends; 0 if there is none. */
static size_t skip_number(const char *text, size_t length, size_t start) {
  uint64_t number;
  const char *end = atfork_read_number(text + start, text + length, &number);
  return end == NULL ? 0 : (size_t)(end - text);
}

/* Skips ".1" or ".p4711". */
static size_t skip_child(const char *text, size_t length) {
  size_t start = length >= 2 && text[1] == 'p' ? 2 : 1;
  bool is_child = length > start && text[0] == '.' && text[start] != '0';
  return is_child ? skip_number(text, length, start) : 0;
}

/* Skips ".r3", which can follow only the root. */
static size_t skip_rank(const char *text, size_t length) {
  return length > 2 && text[0] == '.' && text[1] == 'r' ? skip_number(text, length, 2) : 0;
}

bool atfork_lineage_is_valid(const char *text, size_t length) {
  size_t at = length > LINEAGE_MAX ? 0 : skip_root(text, length);
  size_t step = at;
  if (at == 1) at += skip_rank(text + 1, length - 1);
  while (at < length && step != 0) at += step = skip_child(text + at, length - at);
  return step != 0;
}

/* SPDX-License-Identifier: MIT */
#include "token.h"

#include <string.h>

static const char magic[] = "atfork1:";

_Static_assert(TOKEN_MAX >= sizeof magic - 1 + NUMBER_MAX + 1 + LINEAGE_MAX + 1 + DIGEST_SIZE, "all of it fits");

size_t atfork_token_write(char *to, uint64_t generation, const char *lineage, size_t length) {
  size_t end = sizeof magic - 1;
  memcpy(to, magic, end);
  end += atfork_put_number(to + end, generation);
  to[end++] = ':';
  memcpy(to + end, lineage, length);
  end += length;
  to[end++] = ':';
  return end + atfork_put_digest(to + end, atfork_lineage_hash(0, to, end));
}

/* A number as atfork_put_number() writes it, but no larger than 2^63 and not 0; the end of it, or NULL. */
static const char *read_generation(const char *text, uint64_t *generation) {
  const uint64_t largest = UINT64_C(1) << 63;
  uint64_t number = 0;
  if (*text == '0') return NULL;
  for (; *text >= '0' && *text <= '9'; text++) {
    unsigned digit = (unsigned)(*text - '0');
    if (number > (largest - digit) / 10) return NULL;
    number = 10 * number + digit;
  }
  *generation = number;
  return number == 0 ? NULL : text;
}

static bool has_right_digest(const char *text, size_t length) {
  char digest[DIGEST_SIZE];
  atfork_put_digest(digest, atfork_lineage_hash(0, text, length - DIGEST_SIZE));
  return memcmp(digest, text + length - DIGEST_SIZE, DIGEST_SIZE) == 0;
}

bool atfork_token_read(const char *text, struct token *token) {
  size_t length = strlen(text);
  if (length > TOKEN_MAX || length < sizeof magic + DIGEST_SIZE) return false;
  if (memcmp(text, magic, sizeof magic - 1) != 0 || !has_right_digest(text, length)) return false;
  const char *end = read_generation(text + sizeof magic - 1, &token->generation);
  if (end == NULL || *end != ':') return false;
  token->lineage = end + 1;
  const char *last = text + length - DIGEST_SIZE - 1;
  if (*last != ':' || last < token->lineage) return false;
  token->length = (size_t)(last - token->lineage);
  return atfork_lineage_is_valid(token->lineage, token->length);
}

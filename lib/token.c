/* SPDX-License-Identifier: MIT */
#include "token.h"

#include <string.h>

static const char magic[] = "atfork2:";

_Static_assert(TOKEN_MAX >= sizeof magic - 1 + DIGEST_SIZE + 1 + NUMBER_MAX + 1 + LINEAGE_MAX + 1 + DIGEST_SIZE,
               "all of it fits");

size_t atfork_token_write(char *to, const struct token *token) {
  size_t end = sizeof magic - 1;
  memcpy(to, magic, end);
  end += atfork_put_digest(to + end, token->run);
  to[end++] = ':';
  end += atfork_put_number(to + end, token->generation);
  to[end++] = ':';
  memcpy(to + end, token->lineage, token->length);
  end += token->length;
  to[end++] = ':';
  return end + atfork_put_digest(to + end, atfork_lineage_hash(0, to, end));
}

size_t atfork_token_write_child(char *to, const struct token *parent, uint64_t number) {
  char lineage[LINEAGE_MAX];
  struct token child = {.run = parent->run, .generation = parent->generation + 1, .lineage = lineage};
  child.length = atfork_lineage_of_child(lineage, parent->lineage, parent->length, false, number);
  return atfork_token_write(to, &child);
}

/* Reads a number from 1 to 2^63.  Returns where it ends, or NULL. */
static const char *read_generation(const char *text, const char *end, uint64_t *generation) {
  const char *at = atfork_read_number(text, end, generation);
  return at == NULL || *generation == 0 || *generation > TOKEN_DEEPEST ? NULL : at;
}

/* Reads what atfork_put_digest() has written.  Returns where it ends, or NULL. */
static const char *read_run_of_token(const char *text, uint64_t *run) {
  *run = 0;
  for (unsigned i = 0; i < DIGEST_SIZE; i++, text++) {
    bool is_digit = *text >= '0' && *text <= '9';
    if (!is_digit && (*text < 'a' || *text > 'f')) return NULL;
    *run = *run << 4 | (unsigned)(is_digit ? *text - '0' : *text - 'a' + 10);
  }
  return text;
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
  const char *end = read_run_of_token(text + sizeof magic - 1, &token->run);
  if (end == NULL || *end != ':') return false;
  end = read_generation(end + 1, text + length, &token->generation);
  if (end == NULL || *end != ':') return false;
  token->lineage = end + 1;
  const char *last = text + length - DIGEST_SIZE - 1;
  if (*last != ':' || last < token->lineage) return false;
  token->length = (size_t)(last - token->lineage);
  return atfork_lineage_is_valid(token->lineage, token->length);
}

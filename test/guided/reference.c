/* SPDX-License-Identifier: MIT */
#include "reference.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streams.h"
#include "target.h"

#define NUMBER "[1-9][0-9]*"
static const char shape[] =
    "^atfork2:([0-9a-f]{16}):(" NUMBER
    "):"
    "(0(\\.r(0|" NUMBER "))?(\\.p?" NUMBER ")*|~[0-9a-f]{16}(\\.p?" NUMBER ")+):([0-9a-f]{16})$";
enum { WHOLE, RUN, GENERATION, LINEAGE, DIGEST = 8, PARTS };

/* Whether all numbers between what is no digit are of 64 bits; a hexadecimal root is passed over. */
static bool numbers_fit(const char *lineage) {
  if (*lineage == '~') lineage += 1 + DIGITS;
  while (*lineage != '\0') {
    char *end;
    errno = 0;
    strtoull(lineage, &end, 10);
    if (end != lineage && errno == ERANGE) return false;
    lineage = end == lineage ? lineage + 1 : end;
  }
  return true;
}

static bool match(const char *text, regmatch_t parts[PARTS]) {
  static regex_t expression;
  static bool is_compiled;
  if (!is_compiled) expect(regcomp(&expression, shape, REG_EXTENDED) == 0);
  is_compiled = true;
  return strlen(text) < LONGEST_TOKEN && regexec(&expression, text, PARTS, parts, 0) == 0;
}

static size_t length_of(const regmatch_t *part) {
  return (size_t)(part->rm_eo - part->rm_so);
}

bool reference_read(const char *text, struct reference_token *token) {
  const uint64_t deepest = UINT64_C(1) << 63;
  regmatch_t parts[PARTS];
  if (!match(text, parts) || length_of(&parts[LINEAGE]) > LONGEST_LINEAGE) return false;
  errno = 0;
  token->run = strtoull(text + parts[RUN].rm_so, NULL, 16);
  token->generation = strtoull(text + parts[GENERATION].rm_so, NULL, 10);
  if (errno != 0 || token->generation > deepest) return false;
  snprintf(token->lineage, sizeof token->lineage, "%.*s", (int)length_of(&parts[LINEAGE]), text + parts[LINEAGE].rm_so);
  size_t body = (size_t)parts[DIGEST].rm_so;
  return numbers_fit(token->lineage) && strtoull(text + body, NULL, 16) == stream_seed(0, text, body);
}

size_t reference_write(char to[LONGEST_TOKEN], const struct reference_token *token) {
  int length = snprintf(to, LONGEST_TOKEN, "atfork2:%016" PRIx64 ":%" PRIu64 ":%s:", token->run, token->generation,
                        token->lineage);
  snprintf(to + length, LONGEST_TOKEN - (size_t)length, "%016" PRIx64, stream_seed(0, to, (size_t)length));
  return (size_t)length + DIGITS;
}

struct reference_token reference_child(const struct reference_token *parent, uint64_t number) {
  enum { ROOM_FOR_ONE_MORE = 22 };
  struct reference_token child = {.run = parent->run, .generation = parent->generation + 1};
  size_t length = strlen(parent->lineage);
  if (length + ROOM_FOR_ONE_MORE <= LONGEST_LINEAGE)
    snprintf(child.lineage, sizeof child.lineage, "%.*s.%" PRIu64, LONGEST_LINEAGE - ROOM_FOR_ONE_MORE, parent->lineage,
             number);
  else
    snprintf(child.lineage, sizeof child.lineage, "~%016" PRIx64 ".%" PRIu64, stream_seed(0, parent->lineage, length),
             number);
  return child;
}

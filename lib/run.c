/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>

#include "launcher.h"
#include "os.h"

static const char run_variable[] = "ATFORK_RUN";

/* Reads the digits after 0x. */
static bool read_hexadecimal(const char *text, uint64_t *run) {
  const char *at = text;
  *run = 0;
  for (; isxdigit((unsigned char)*at) && *run >> 60 == 0; at++)
    *run = *run << 4 | (unsigned)(isdigit((unsigned char)*at) ? *at - '0' : tolower((unsigned char)*at) - 'a' + 10);
  return at != text && *at == '\0';
}

static bool read_run(const char *text, uint64_t *run) {
  return text[0] == '0' && text[1] == 'x' ? read_hexadecimal(text + 2, run) : atfork_launcher_number(text, run);
}

/* NULL if it is not set, or empty. */
static const char *text_given(void) {
  const char *text = atfork_os_environment(run_variable);
  return text == NULL || text[0] == '\0' ? NULL : text;
}

bool atfork_run_given(uint64_t *run) {
  const char *text = text_given();
  return text != NULL && read_run(text, run);
}

static void complain(const char *text) {
  char line[160];
  int length = snprintf(line, sizeof line, "atfork: %s=%.80s is not a number, and is ignored\n", run_variable, text);
  atfork_os_say(line, (size_t)length);
}

uint64_t atfork_run_first(void) {
  uint64_t run;
  const char *text = text_given();
  if (text != NULL && read_run(text, &run)) return run;
  if (text != NULL) complain(text);
  return atfork_os_random();
}

/* SPDX-License-Identifier: MIT */
#include "waiting.h"

#include <stdbool.h>
#include <stddef.h>

#include "lineage.h"
#include "os.h"

enum { FIRST = 1000 /* ms */, SECOND = 10000 /* ms */, NAME_MAX_SHOWN = 128, LINE_SIZE = 512 };

static bool is_on;

/* Reads the environment when the library is loaded, as no other thread changes it then. */
__attribute__((constructor)) static void look_at_environment(void) {
  is_on = atfork_os_is_set("ATFORK_DEBUG");
}

struct line {
  char text[LINE_SIZE]; /* large enough for every line */
  size_t length;
};

static void put_text(struct line *line, const char *text) {
  while (*text != '\0') line->text[line->length++] = *text++;
}

static void put(struct line *line, const char *before, uint64_t number) {
  put_text(line, before);
  line->length += atfork_put_number(line->text + line->length, number);
}

/* Replaces control characters, so that the line stays one line. */
static void put_name(struct line *line, const char *name) {
  put_text(line, " \"");
  for (size_t i = 0; i < NAME_MAX_SHOWN && name[i] != '\0'; i++)
    line->text[line->length++] = (char)((unsigned char)name[i] < ' ' ? '?' : name[i]);
  put_text(line, "\"");
}

static void say(const struct waiting *waiting, uint64_t ms) {
  struct line line = {.length = 0};
  put_text(&line, "atfork: ");
  put_text(&line, waiting->who);
  put(&line, " in thread ", atfork_os_thread());
  put(&line, " has waited ", ms / 1000);
  put_text(&line, " s for ");
  put_text(&line, waiting->what);
  if (waiting->name != NULL) put_name(&line, waiting->name);
  if (waiting->id != 0) put(&line, " (id ", waiting->id);
  if (waiting->id != 0) put_text(&line, ")");
  if (waiting->why != NULL) put_text(&line, ": ");
  if (waiting->why != NULL) put_text(&line, waiting->why);
  if (waiting->number != 0) put(&line, " ", waiting->number);
  put_text(&line, "\n");
  atfork_os_say(line.text, line.length);
}

void atfork_waiting_tell(struct waiting *waiting) {
  if (!is_on) return;
  uint64_t now = atfork_os_clock();
  if (waiting->since == 0) {
    waiting->since = now;
    waiting->due = FIRST;
  }
  uint64_t waited = now - waiting->since;
  if (waited < waiting->due) return;
  waiting->due = waited < SECOND ? SECOND : 2 * waited;
  say(waiting, waited);
}

/* SPDX-License-Identifier: MIT */
#include "notes.h"

#include <atfork.h>
#include <glib.h>
#include <string.h>

char trace[512];
int refusals;

void note(const char *what) {
  strcat(trace, what);
}

static int try_prepare(void *data) {
  note(data);
  if (refusals == 0) return 0;
  refusals--;
  note("!");
  return 1;
}

void prepare(void *data) {
  note(data);
}
void parent(void *data) {
  note((char *)data + 2);
}

void add(const char *data, int priority, bool tries) {
  struct atfork_hook hook = {.priority = priority, .parent = parent, .data = (void *)(uintptr_t)data};
  if (tries)
    hook.try_prepare = try_prepare;
  else
    hook.prepare = prepare;
  g_assert_cmpuint(atfork_register(&hook), !=, 0);
}

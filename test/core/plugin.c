/* SPDX-License-Identifier: MIT */
/* A shared object that registers a hook and leaves without a word. */
#include <atfork.h>

void plugin_ran(void);
void plug_in(void);
void plug_in_all(void);

static void child(void *unused) {
  (void)unused;
  plugin_ran();
}

void plug_in(void) {
  atfork_register(&(struct atfork_hook){.name = "plugin", .child = child});
}

void plug_in_all(void) {
  atfork_register(&(struct atfork_hook){.name = "plugin", .prepare = child, .parent = child, .child = child});
}

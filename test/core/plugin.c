/* SPDX-License-Identifier: MIT */
/* A shared object that registers a hook, and is unloaded without unregistering it. */
#include <atfork.h>

void plugin_ran(void);
void plugin_destroyed(void);
void plug_in(void);
void plug_in_all(void);
atfork_id plug_in_to_destroy(void);

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

static void destroy(void *unused) {
  (void)unused;
  plugin_destroyed();
}

atfork_id plug_in_to_destroy(void) {
  return atfork_register(&(struct atfork_hook){.name = "plugin", .child = child, .destroy = destroy});
}

/* SPDX-License-Identifier: MIT */
/* A shared object with a hook of its own, which goes with it. */
#include <atfork.h>

atfork_id plugin_register(void (*mark)(void *place), void *place);

static void (*call)(void *place);

static void child(void *place) {
  call(place);
}

atfork_id plugin_register(void (*mark)(void *place), void *place) {
  call = mark;
  return atfork_register(&(struct atfork_hook){.name = "plugin", .child = child, .data = place});
}

/* SPDX-License-Identifier: MIT */
/* A shared object with fork handlers that go with it; say() is adopted.c's. */
#include <pthread.h>

extern void say(const char *line);

static void prepare(void) {
  say("prepare plugin");
}

static void parent(void) {
  say("parent plugin");
}

static void child(void) {
  say("child plugin");
}

__attribute__((constructor)) static void begin(void) {
  pthread_atfork(prepare, parent, child);
}

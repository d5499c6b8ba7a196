/* SPDX-License-Identifier: MIT */
/* After grpc/grpc#31885: the lock is a library's own, a word on which it waits by a futex; here GLib's. */
/* finds: dead-lock or endless-wait */
/* needs: glib-2.0 */
#include "../program.h"

#include <glib.h>

static GMutex lock;

static void take(void) {
  g_mutex_lock(&lock);
}

static void give(void) {
  g_mutex_unlock(&lock);
}

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    g_mutex_lock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}

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

static void hang(void) {
  alarm(HANGS);
  g_mutex_lock(&lock);
}

int main(void) {
  fork_beside(take, give, hang);
  return 0;
}

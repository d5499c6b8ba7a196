/* SPDX-License-Identifier: MIT */
/* After DataDog/libdatadog#2348: a child by clone() gets a copy of the memory, but none of the fork handlers' care. */
/* finds: missed-handler */
#include "../program.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) {
  pthread_mutex_lock(&lock);
}

static void give(void) {
  pthread_mutex_unlock(&lock);
}

static int go(void *unused) {
  (void)unused;
  take();
  go_on();
  give();
  return 0;
}

int main(void) {
  static _Alignas(16) char stack[65536];
  must(pthread_atfork(take, give, give) == 0);
  wait_for(clone(go, stack + sizeof stack, SIGCHLD, NULL));
  return 0;
}

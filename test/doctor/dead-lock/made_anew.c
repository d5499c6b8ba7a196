/* SPDX-License-Identifier: MIT */
/* After Feh/nocache#34: the child handler makes the lock anew, before anybody takes it. */
/* finds: nothing */
#include "../mutex.h"

static void make_anew(void) {
  pthread_mutex_init(&lock, NULL);
}

static void use_and_go_on(void) {
  use();
  go_on();
}

int main(void) {
  must(pthread_atfork(NULL, NULL, make_anew) == 0);
  fork_beside(take, give, use_and_go_on);
  return 0;
}

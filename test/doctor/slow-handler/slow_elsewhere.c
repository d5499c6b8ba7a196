/* SPDX-License-Identifier: MIT */
/* After DataDog/dd-trace-py#18947: the handlers are quick; what takes its time runs before and after the fork. */
/* finds: nothing */
#include "../program.h"

static void quick(void) {
}

static void take_time(void) {
  nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
}

int main(void) {
  must(pthread_atfork(quick, quick, quick) == 0);
  take_time();
  pid_t child = fork();
  if (child == 0) {
    take_time();
    _exit(0);
  }
  take_time();
  wait_for(child);
  return 0;
}

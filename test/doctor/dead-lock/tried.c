/* SPDX-License-Identifier: MIT */
/* After DataDog/dd-trace-php#1752: the holder got the mutex by pthread_mutex_trylock(). */
/* finds: dead-lock */
#include "../mutex.h"

static void try(void) {
  must(pthread_mutex_trylock(&lock) == 0);
}

int main(void) {
  fork_beside(try, give, use_or_hang);
  return 0;
}

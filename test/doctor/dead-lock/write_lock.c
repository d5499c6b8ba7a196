/* SPDX-License-Identifier: MIT */
/* After openssl-projects/pkcs11-provider#356: a writer is lost, and the child wants to read. */
/* finds: dead-lock */
#include "../program.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void take(void) {
  pthread_rwlock_wrlock(&lock);
}

static void give(void) {
  pthread_rwlock_unlock(&lock);
}

static void hang(void) {
  alarm(HANGS);
  pthread_rwlock_rdlock(&lock);
}

int main(void) {
  fork_beside(take, give, hang);
  return 0;
}

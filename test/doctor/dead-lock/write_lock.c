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

int main(void) {
  struct stayer holder;
  stayer_start(&holder, take, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_rwlock_rdlock(&lock);
    pthread_rwlock_unlock(&lock);
    _exit(0);
  }
  wait_for(child);
  stayer_end(&holder);
  return 0;
}

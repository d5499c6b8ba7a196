/* SPDX-License-Identifier: MIT */
/* After FEX-Emu/FEX#2664: a reader and the writer that waits for it are lost, and a new reader waits for the writer. */
/* finds: dead-lock, note lost-thread */
#include "../program.h"

static pthread_rwlock_t lock;

static void read_lock(void) {
  must(pthread_rwlock_rdlock(&lock) == 0);
}

static void unlock(void) {
  must(pthread_rwlock_unlock(&lock) == 0);
}

static void *write_once(void *unused) {
  must(pthread_rwlock_wrlock(&lock) == 0);
  unlock();
  return unused;
}

int main(void) {
  struct stayer reader;
  pthread_t writer;
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  must(pthread_rwlock_init(&lock, &attributes) == 0);
  stayer_start(&reader, read_lock, unlock);
  must(pthread_create(&writer, NULL, write_once, NULL) == 0);
  while (pthread_rwlock_tryrdlock(&lock) == 0) {
    unlock();
    sched_yield();
  }
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    read_lock();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&reader);
  must(pthread_join(writer, NULL) == 0);
  return 0;
}

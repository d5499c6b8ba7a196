/* SPDX-License-Identifier: MIT */
/* After DataDog/dd-trace-php#1752: a thread waits at a barrier; the child comes there, and takes it for company. */
/* finds: lost-waiter */
#include "../program.h"

static pthread_barrier_t barrier;

static void *worker(void *unused) {
  pthread_barrier_wait(&barrier);
  return unused;
}

int main(void) {
  pthread_t thread;
  unsigned arrived;
  pthread_barrier_init(&barrier, NULL, 2);
  must(pthread_create(&thread, NULL, worker, NULL) == 0);
  /* The first number in a barrier of glibc's is that of those who came. */
  do memcpy(&arrived, &barrier, sizeof arrived);
  while (arrived == 0);
  pid_t child = fork();
  if (child == 0) {
    pthread_barrier_wait(&barrier);
    go_on();
    _exit(0);
  }
  wait_for(child);
  pthread_barrier_wait(&barrier);
  pthread_join(thread, NULL);
  return 0;
}

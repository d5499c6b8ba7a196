/* SPDX-License-Identifier: MIT */
/* After OpenMathLib/OpenBLAS#2982: a thread is in the middle of pthread_once(); the C library begins that anew in the
 * child. */
/* finds: nothing */
#include "../program.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct gate begun, leave;
static bool waits = true;

static void initialise(void) {
  if (!waits) return;
  gate_open(&begun);
  gate_wait(&leave);
}

static void *worker(void *unused) {
  pthread_once(&once, initialise);
  return unused;
}

int main(void) {
  pthread_t thread;
  gate_make(&begun);
  gate_make(&leave);
  must(pthread_create(&thread, NULL, worker, NULL) == 0);
  gate_wait(&begun);
  pid_t child = fork();
  if (child == 0) {
    waits = false;
    pthread_once(&once, initialise);
    go_on();
    _exit(0);
  }
  wait_for(child);
  gate_open(&leave);
  pthread_join(thread, NULL);
  return 0;
}

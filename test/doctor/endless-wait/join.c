/* SPDX-License-Identifier: MIT */
/* After Haivision/srt#3179: the child joins a thread of its parent's, whose stack the C library has not made. */
/* finds: endless-wait */
#include "../program.h"

static void *worker(void *gate) {
  gate_wait(gate);
  return NULL;
}

int main(void) {
  static _Alignas(64) char stack[1 << 17];
  pthread_attr_t attributes;
  pthread_t thread;
  struct gate leave;
  gate_make(&leave);
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, sizeof stack);
  must(pthread_create(&thread, &attributes, worker, &leave) == 0);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    pthread_join(thread, NULL);
    _exit(0);
  }
  wait_for(child);
  gate_open(&leave);
  pthread_join(thread, NULL);
  return 0;
}

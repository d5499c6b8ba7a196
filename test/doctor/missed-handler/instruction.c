/* SPDX-License-Identifier: MIT */
/* After ROCm/rocm-systems#6095: an instruction of the program's own makes the child, so nobody sees the fork. */
/* finds: missed-handler */
#include "../program.h"

static pid_t cached;

static void forget(void) {
  cached = 0;
}

static long make_child(void) {
  long result;
#if defined __x86_64__
  __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_fork) : "rcx", "r11", "memory");
#else
  register long which __asm__("x8") = SYS_clone;
  register long flags __asm__("x0") = SIGCHLD;
  register long stack __asm__("x1") = 0, parent __asm__("x2") = 0, tls __asm__("x3") = 0, child __asm__("x4") = 0;
  __asm__ volatile("svc 0" : "+r"(flags) : "r"(which), "r"(stack), "r"(parent), "r"(tls), "r"(child) : "memory");
  result = flags;
#endif
  return result;
}

int main(void) {
  must(pthread_atfork(NULL, NULL, forget) == 0);
  cached = getpid();
  pid_t child = (pid_t)make_child();
  if (child == 0) {
    printf("process %d believes that it is %d\n", (int)getpid(), (int)cached);
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  return 0;
}

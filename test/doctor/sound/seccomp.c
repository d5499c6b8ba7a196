/* SPDX-License-Identifier: MIT */
/* After google/tcmalloc#81: a worker allows itself no system call but those that it needs. */
/* finds: nothing */
#include "../program.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static void confine(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(CANNOT_RUN);
}

int main(void) {
  struct gate work, done;
  gate_make(&work);
  gate_make(&done);
  pid_t child = fork();
  if (child == 0) {
    confine();
    gate_wait(&work);
    gate_open(&done);
    _exit(0);
  }
  gate_open(&work);
  int status = wait_for(child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_RUN) return CANNOT_RUN;
  must(status == 0);
  gate_wait(&done);
  return 0;
}

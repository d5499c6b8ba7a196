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
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(CANNOT_RUN);
}

/* What the command, if we run under it, asks the kernel at this moment. */
static int open_watcher(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/syscall", (int)getppid());
  return getenv("ATFORK_WATCH_LOG") == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

/* The watched process is not to wake a command that sleeps for want of news: that is a system call more. */
static void wait_until_asleep(int watcher) {
  char call[64] = "";
  const int futex = SYS_futex;
  while (watcher >= 0 && atoi(call) != futex) must(pread(watcher, call, sizeof call - 1, 0) > 0);
}

int main(void) {
  struct gate work, done;
  gate_make(&work);
  gate_make(&done);
  int watcher = open_watcher();
  pid_t child = fork();
  if (child == 0) {
    confine();
    gate_wait(&work);
    wait_until_asleep(watcher);
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

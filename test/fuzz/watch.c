/* SPDX-License-Identifier: MIT */
#include "watch.h"
#include "patience.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef ATFORK_TEST_SHORT
int watch_patience = 25;
#else
int watch_patience = 60;
#endif

static bool ends_in_time(pid_t pid) {
  int file = (int)syscall(SYS_pidfd_open, pid, 0);
  if (file < 0) {
    perror("fuzz: pidfd_open");
    exit(2);
  }
  int ready;
  do ready = poll(&(struct pollfd){.fd = file, .events = POLLIN}, 1, watch_patience * slowness() * 1000);
  while (ready < 0 && errno == EINTR);
  close(file);
  return ready > 0;
}

const char *watch(pid_t pid) {
  static char how[80];
  int status;
  setpgid(pid, pid); /* the child does so, too: whichever is first */
  bool in_time = ends_in_time(pid);
  kill(-pid, SIGKILL);
  waitpid(pid, &status, 0);
  if (in_time && status == 0) return NULL;
  if (!in_time)
    snprintf(how, sizeof how, "hangs");
  else if (WIFSIGNALED(status))
    snprintf(how, sizeof how, "ends by signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    snprintf(how, sizeof how, "ends with status %d", WEXITSTATUS(status));
  return how;
}

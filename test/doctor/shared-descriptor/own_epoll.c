/* SPDX-License-Identifier: MIT */
/* After OpenSmalltalk/opensmalltalk-vm#552: the child closes its parent's epoll set, and makes one of its own. */
/* finds: nothing */
#include "../program.h"

#include <sys/epoll.h>

static struct gate gate;

static int make_set(void) {
  struct epoll_event event = {.events = EPOLLIN};
  int set = epoll_create1(EPOLL_CLOEXEC);
  gate_make(&gate);
  must(epoll_ctl(set, EPOLL_CTL_ADD, gate.ends[0], &event) == 0);
  return set;
}

static void run_loop(int set) {
  struct epoll_event event;
  must(epoll_wait(set, &event, 1, 0) == 0);
}

int main(void) {
  int set = make_set();
  run_loop(set);
  pid_t child = fork();
  if (child == 0) {
    close(set);
    set = make_set();
    run_loop(set);
    _exit(0);
  }
  run_loop(set);
  wait_for(child);
  return 0;
}

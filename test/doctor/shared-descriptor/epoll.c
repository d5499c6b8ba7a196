/* SPDX-License-Identifier: MIT */
/* After eventlet/eventlet#68: the child adds its own descriptors to the parent's epoll set, and both wait there. */
/* finds: shared-descriptor */
#include "../program.h"

#include <sys/epoll.h>

static void wait_once(int set) {
  struct epoll_event event;
  epoll_wait(set, &event, 1, 0);
}

static void add(int set, const struct gate *gate) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = gate->ends[0]};
  must(epoll_ctl(set, EPOLL_CTL_ADD, gate->ends[0], &event) == 0);
}

int main(void) {
  struct gate gate;
  int set = epoll_create1(EPOLL_CLOEXEC);
  gate_make(&gate);
  add(set, &gate);
  pid_t child = fork();
  if (child == 0) {
    struct gate own;
    gate_make(&own);
    add(set, &own);
    wait_once(set);
    _exit(0);
  }
  wait_for(child);
  wait_once(set);
  return 0;
}

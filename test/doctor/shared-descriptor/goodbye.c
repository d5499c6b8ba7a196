/* SPDX-License-Identifier: MIT */
/* After discourse/discourse#43767: the child takes leave on its parent's connection, and the parent goes on with it. */
/* finds: shared-descriptor */
#include "../program.h"

#include <arpa/inet.h>
#include <netinet/in.h>

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
  must(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(connect(connection, (struct sockaddr *)&address, size) == 0);
  int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  must(peer != -1);
  pid_t child = fork();
  if (child == 0) {
    must(send(connection, "terminate", 9, MSG_NOSIGNAL) == 9);
    _exit(0);
  }
  wait_for(child);
  must(send(connection, "select", 6, MSG_NOSIGNAL) == 6);
  return 0;
}

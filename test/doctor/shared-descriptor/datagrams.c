/* SPDX-License-Identifier: MIT */
/* After DataDog/dogstatsd-ruby#253: both send measurements, each a datagram of its own. */
/* finds: nothing */
#include "../program.h"

#include <arpa/inet.h>
#include <netinet/in.h>

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(bind(sink, (struct sockaddr *)&address, size) == 0);
  must(getsockname(sink, (struct sockaddr *)&address, &size) == 0);
  int source = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(connect(source, (struct sockaddr *)&address, size) == 0);
  must(send(source, "a:1|c", 5, 0) == 5);
  pid_t child = fork();
  if (child == 0) {
    must(send(source, "b:1|c", 5, 0) == 5);
    _exit(0);
  }
  wait_for(child);
  must(send(source, "c:1|c", 5, 0) == 5);
  return 0;
}

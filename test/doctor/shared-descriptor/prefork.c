/* SPDX-License-Identifier: MIT */
/* After bumptech/stud#151: all workers accept from one listening socket. */
/* finds: nothing */
#include "../program.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct sockaddr_in address = {.sin_family = AF_INET};

static int listen_here(void) {
  socklen_t size = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 4) == 0);
  must(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
  return listener;
}

static void ask(void) {
  char answer;
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(connect(connection, (struct sockaddr *)&address, sizeof address) == 0);
  must(read(connection, &answer, 1) == 1);
  close(connection);
}

static void serve(int listener) {
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  must(connection != -1 && write(connection, "a", 1) == 1);
  _exit(0);
}

int main(void) {
  pid_t workers[2];
  int listener = listen_here();
  for (int i = 0; i < 2; ++i) {
    workers[i] = fork();
    if (workers[i] == 0) serve(listener);
  }
  for (int i = 0; i < 2; ++i) ask();
  for (int i = 0; i < 2; ++i) wait_for(workers[i]);
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* After wolfSSL/wolfssh#457: a child serves each connection, and the parent closes it. */
/* finds: nothing */
#include "../program.h"

static void serve(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0);
  for (int i = 0; i < 2; ++i) {
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
      close(listener);
      close(client);
      must(write(connection, "answer", 6) == 6);
      _exit(0);
    }
    close(connection);
    char answer[6];
    must(read(client, answer, sizeof answer) == sizeof answer);
    close(client);
    wait_for(child);
  }
}

int main(void) {
  char directory[] = "/tmp/doctor-XXXXXX", path[64];
  must(mkdtemp(directory) != NULL);
  snprintf(path, sizeof path, "%s/socket", directory);
  serve(path);
  unlink(path);
  rmdir(directory);
  return 0;
}

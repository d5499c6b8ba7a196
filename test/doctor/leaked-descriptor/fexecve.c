/* SPDX-License-Identifier: MIT */
/* After whitequark/ocaml-inotify#10: the program is started by fexecve(). */
/* finds: leaked-descriptor */
#include "../program.h"

int main(void) {
  int queries = socket(AF_INET, SOCK_DGRAM, 0);
  int program = open("/bin/true", O_RDONLY | O_CLOEXEC);
  char *arguments[] = {(char[]){"true"}, NULL};
  must(queries != -1 && program != -1);
  pid_t child = fork();
  if (child == 0) {
    fexecve(program, arguments, arguments + 1);
    _exit(BROKEN);
  }
  wait_for(child);
  return 0;
}

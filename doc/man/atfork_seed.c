/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_seed(const char *who) {
  /* atfork_run() in place of 42: other numbers in each run */
  printf("%s %016" PRIx64 "\n", who, atfork_seed(42));
  fflush(stdout);
}

int main(void) {
  print_seed("parent      ");
  for (int i = 1; i <= 2; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      print_seed(i == 1 ? "first child " : "second child");
      return 0;
    }
    if (waitpid(pid, NULL, 0) != pid) return 1;
  }
  return 0;
}

/* prints:
parent       aaa155968a8f3305
first child  86a3b5548d132ec1
second child f92d5d0358ddec4c
*/

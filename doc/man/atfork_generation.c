/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A cache that a child fills anew, without any callback. */
static const char *cached(void) {
  static uint64_t generation;
  static char text[32];
  if (text[0] == '\0' || generation != atfork_generation()) {
    generation = atfork_generation();
    snprintf(text, sizeof text, "made by process %d",
             (int)generation);
  }
  return text;
}

int main(void) {
  puts(cached());
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    puts(cached());
    return 0;
  }
  if (waitpid(pid, NULL, 0) != pid) return 1;
  puts(cached());
  return 0;
}

/* prints:
made by process 0
made by process 1
made by process 0
*/

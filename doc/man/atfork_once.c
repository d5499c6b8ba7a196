/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct atfork_once once = ATFORK_ONCE_INIT;
static char name[32];

static void make_name(void *prefix) {
  snprintf(name, sizeof name, "%s-%d", (char *)prefix,
           (int)atfork_generation());
}

static const char *worker_name(void) {
  static char prefix[] = "worker";
  atfork_once(&once, make_name, prefix);
  return name;
}

int main(void) {
  puts(worker_name());
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    puts(worker_name());
    return 0;
  }
  return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

/* prints:
worker-0
worker-1
*/

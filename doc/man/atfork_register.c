/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What stdout holds would otherwise be written by both processes.
 */
static void flush(void *data) {
  (void)data;
  fflush(stdout);
}

static void announce(void *data) {
  printf("%s: process %d\n", (char *)data,
         (int)atfork_generation());
}

int main(void) {
  static char log[] = "log";
  atfork_id id = atfork_register(&(struct atfork_hook){
      .name = "log",
      .priority = 10, /* after hooks with a lower priority */
      .prepare = flush,
      .child = announce,
      .data = log,
  });
  if (id == 0) {
    perror("atfork_register");
    return 1;
  }
  printf("one line\n");
  pid_t pid = fork();
  if (pid == 0) return 0;
  if (waitpid(pid, NULL, 0) != pid) return 1;
  return atfork_unregister(id);
}

/* prints:
one line
log: process 1
*/

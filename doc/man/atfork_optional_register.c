/* SPDX-License-Identifier: MIT */
#include <atfork-optional.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int requests;

static void forget_requests(void) {
  requests = 0;
}

static struct atfork_optional hook = {
    .name = "libfoo",
    .child = forget_requests,
};

int main(void) {
  if (atfork_optional_register(&hook) != 0) return 1;
  puts(hook.id != 0 ? "by libatfork" : "by pthread_atfork");
  fflush(stdout);
  requests = 3;
  pid_t pid = fork();
  if (pid == 0) {
    printf("%d requests\n", requests);
    return 0;
  }
  return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

/* prints, without libatfork:
by pthread_atfork
0 requests
*/

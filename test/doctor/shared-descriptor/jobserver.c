/* SPDX-License-Identifier: MIT */
/* After joyent/libuv#997: make and its jobs take tokens from one pipe, and put them back. */
/* finds: nothing */
#include "../program.h"

/* As make does it: the pipe is for other programs, so it is open past an exec, and its numbers are in MAKEFLAGS. */
static int tokens[2];

static void job(void) {
  char token;
  must(read(tokens[0], &token, 1) == 1);
  must(write(tokens[1], &token, 1) == 1);
}

static void run_again(char *program) {
  char flags[64];
  snprintf(flags, sizeof flags, " -j2 --jobserver-auth=%d,%d", tokens[0], tokens[1]);
  setenv("MAKEFLAGS", flags, 1);
  execl(program, program, (char *)NULL);
  _exit(BROKEN);
}

int main(int count, char **arguments) {
  const char *flags = getenv("MAKEFLAGS");
  if (flags != NULL && sscanf(flags, " -j2 --jobserver-auth=%d,%d", &tokens[0], &tokens[1]) == 2) {
    job();
    return 0;
  }
  must(count > 0 && pipe(tokens) == 0 && write(tokens[1], "+", 1) == 1);
  pid_t child = fork();
  if (child == 0) run_again(arguments[0]);
  job();
  wait_for(child);
  return 0;
}

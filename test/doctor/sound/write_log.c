/* SPDX-License-Identifier: MIT */
/* After Lind-Project/safeposix-rust#261: both write lines into one file, and its one offset keeps them apart. */
/* finds: nothing */
#include "../program.h"

static void say(int journal, const char *line) {
  must(write(journal, line, strlen(line)) == (ssize_t)strlen(line));
}

int main(void) {
  char path[] = "/tmp/doctor-XXXXXX";
  int journal = mkostemp(path, O_CLOEXEC);
  must(journal != -1);
  unlink(path);
  say(journal, "before the fork\n");
  pid_t child = fork();
  if (child == 0) {
    say(journal, "child\n");
    _exit(0);
  }
  say(journal, "parent\n");
  wait_for(child);
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* After sheredom/subprocess.h#8: the child closes all but the standard streams before it is another program. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  int ends[2];
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  must(listener != -1 && pipe(ends) == 0);
  pid_t child = fork();
  if (child == 0) {
    close_range(3, ~0U, 0);
    execl("/bin/true", "true", (char *)NULL);
    _exit(BROKEN);
  }
  wait_for(child);
  return 0;
}

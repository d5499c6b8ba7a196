/* SPDX-License-Identifier: MIT */
/* After certbot/certbot#477: to tidy up, the child closes the files of its parent, which flushes them. */
/* finds: double-output */
#include "../program.h"

int main(void) {
  char path[] = "/tmp/doctor-XXXXXX";
  FILE *journal = fdopen(mkostemp(path, O_CLOEXEC), "w");
  must(journal != NULL);
  unlink(path);
  fputs("one line\n", journal);
  pid_t child = fork();
  if (child == 0) {
    fclose(journal);
    _exit(0);
  }
  wait_for(child);
  fclose(journal);
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* After klemens-morgenstern/boost-process#49: popen() opens a pipe, and a second one beside it. */
/* finds: nothing */
#include "../program.h"

int main(void) {
  char line[16];
  FILE *first = popen("echo one", "re"), *second = popen("echo two", "re");
  must(first != NULL && second != NULL);
  must(fgets(line, sizeof line, first) != NULL && fgets(line, sizeof line, second) != NULL);
  must(pclose(second) == 0 && pclose(first) == 0);
  return 0;
}

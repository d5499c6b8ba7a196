/* SPDX-License-Identifier: MIT */
/* After xavierleroy/cryptokit#27: a log that is open for writing goes into what system() runs. */
/* finds: leaked-descriptor */
#include "../program.h"

static char path[] = "/tmp/doctor-XXXXXX";

int main(void) {
  int journal = mkstemp(path);
  must(journal != -1 && write(journal, "begins\n", 7) == 7);
  unlink(path);
  must(system("exit 0") == 0);
  return 0;
}

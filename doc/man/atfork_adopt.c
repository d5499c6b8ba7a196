/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  char which[128], lineage[1024];
  setenv("SLURM_PROCID", "3", 1); /* as srun does */
  setenv("SLURM_STEP_ID", "0", 1);
  atfork_launcher(which, sizeof which);
  if (atfork_adopt(NULL) != 0) {
    fprintf(stderr, "no place by \"%s\"\n", which);
    return 1;
  }
  atfork_lineage(lineage, sizeof lineage);
  printf("%s: %s\n", which, lineage);
  return 0;
}

/* prints:
SLURM_PROCID=3: 0.r3
*/

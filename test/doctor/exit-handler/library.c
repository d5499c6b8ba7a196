/* SPDX-License-Identifier: MIT */
/* After openSUSE/libzypp#757: libcrypto cleans up as a process ends, which is well in any process. */
/* finds: nothing */
/* needs: libcrypto */
#include "../program.h"

#include <openssl/rand.h>

int main(void) {
  unsigned char key[4];
  must(RAND_bytes(key, sizeof key) == 1);
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  return 0;
}

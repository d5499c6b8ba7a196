/* SPDX-License-Identifier: MIT */
/* After latchset/mod_auth_mellon#39: RAND_bytes() of OpenSSL 1.1.1 and later notices the fork. */
/* finds: nothing */
/* needs: libcrypto */
#include "draw.h"

#include <openssl/rand.h>

static void print(const char *who) {
  unsigned char key[4];
  must(RAND_bytes(key, sizeof key) == 1);
  printf("%s %02x%02x%02x%02x\n", who, key[0], key[1], key[2], key[3]);
}

int main(void) {
  print("before");
  fflush(stdout);
  return draw_in_both(print);
}

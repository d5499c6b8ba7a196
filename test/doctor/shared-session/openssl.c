/* SPDX-License-Identifier: MIT */
/* After aws/s2n-tls#512: the child sends on its parent's TLS connection, and the parent goes on from its old state. */
/* finds: shared-session */
/* needs: openssl */
#include "../program.h"

#include "tls.h"

int main(void) {
  struct tls tls;
  tls_connect(&tls);
  must(SSL_write(tls.client, "before", 6) == 6);
  pid_t child = fork();
  if (child == 0) {
    must(SSL_write(tls.client, "child", 5) == 5);
    _exit(0);
  }
  wait_for(child);
  must(SSL_write(tls.client, "parent", 6) == 6);
  return 0;
}

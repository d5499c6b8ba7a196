/* SPDX-License-Identifier: MIT */
/* After SUPLA/supla-core#13: after the handshake the session is the child's alone. */
/* finds: nothing */
/* needs: openssl */
#include "../program.h"

#include "tls.h"

int main(void) {
  struct tls tls;
  tls_connect(&tls);
  pid_t child = fork();
  if (child == 0) {
    must(SSL_write(tls.client, "child", 5) == 5);
    _exit(0);
  }
  wait_for(child);
  return 0;
}

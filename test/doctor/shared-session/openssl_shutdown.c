/* SPDX-License-Identifier: MIT */
/* After brianmario/mysql2#1467: the child closes the session politely, and the parent goes on in it. */
/* finds: shared-session */
/* needs: openssl */
#include "../program.h"

#include "tls.h"

int main(void) {
  struct tls tls;
  tls_connect(&tls);
  pid_t child = fork();
  if (child == 0) {
    SSL_shutdown(tls.client);
    _exit(0);
  }
  wait_for(child);
  must(SSL_write(tls.client, "parent", 6) == 6);
  return 0;
}

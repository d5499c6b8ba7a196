/* SPDX-License-Identifier: MIT */
/* After eventlet/eventlet#68: each process makes a session of its own, from one context. */
/* finds: nothing */
/* needs: openssl */
#include "../program.h"

#include "tls.h"

int main(void) {
  struct tls tls, own;
  tls_connect(&tls);
  pid_t child = fork();
  if (child == 0) {
    tls_connect(&own);
    must(SSL_write(own.client, "child", 5) == 5);
    _exit(0);
  }
  wait_for(child);
  must(SSL_write(tls.client, "parent", 6) == 6);
  return 0;
}

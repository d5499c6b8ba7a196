/* SPDX-License-Identifier: MIT */
/* After tornadoweb/tornado#2122: SSL_write_ex() and SSL_read_ex() use the session, too. */
/* finds: shared-session */
/* needs: openssl */
#include "../program.h"

#include "tls.h"

static void say(SSL *ssl, const char *word) {
  size_t written;
  must(SSL_write_ex(ssl, word, strlen(word), &written) == 1);
}

int main(void) {
  struct tls tls;
  tls_connect(&tls);
  pid_t child = fork();
  if (child == 0) {
    say(tls.client, "child");
    _exit(0);
  }
  wait_for(child);
  say(tls.client, "parent");
  return 0;
}

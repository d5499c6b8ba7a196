/* SPDX-License-Identifier: MIT */
/* A TLS connection of this process with itself: no certificate, and no other process. */
#ifndef ATFORK_TEST_DOCTOR_TLS_H
#define ATFORK_TEST_DOCTOR_TLS_H

#include <openssl/ssl.h>

#include "../program.h"

struct tls {
  SSL *client, *server;
};

static inline SSL *tls_make(SSL_CTX *context, int end) {
  SSL *ssl = SSL_new(context);
  must(ssl != NULL && SSL_set_fd(ssl, end) == 1);
  return ssl;
}

static inline void tls_connect(struct tls *tls) {
  int ends[2];
  SSL_CTX *context = SSL_CTX_new(TLS_method());
  must(context != NULL && SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) == 1);
  must(SSL_CTX_set_cipher_list(context, "AECDH:@SECLEVEL=0") == 1);
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  tls->client = tls_make(context, ends[0]);
  tls->server = tls_make(context, ends[1]);
  SSL_set_connect_state(tls->client);
  SSL_set_accept_state(tls->server);
  for (int turns = 0; SSL_do_handshake(tls->client) != 1 || SSL_do_handshake(tls->server) != 1; ++turns) {
    SSL_do_handshake(tls->server);
    must(turns < 10);
  }
}

#endif

/* SPDX-License-Identifier: MIT */
/* After curl/curl#6968: a session of GnuTLS is used in both processes. */
/* finds: shared-session */
/* needs: gnutls */
#include "../program.h"

#include <gnutls/gnutls.h>

/* A session with itself: a client and a server, which do the handshake by turns. */
static gnutls_session_t make(unsigned flags, int end) {
  gnutls_session_t session;
  gnutls_anon_client_credentials_t client;
  gnutls_anon_server_credentials_t server;
  must(gnutls_init(&session, flags | GNUTLS_NONBLOCK) == 0);
  must(gnutls_priority_set_direct(session, "NORMAL:-VERS-ALL:+VERS-TLS1.2:+ANON-ECDH", NULL) == 0);
  if ((flags & GNUTLS_SERVER) != 0) {
    gnutls_anon_allocate_server_credentials(&server);
    gnutls_credentials_set(session, GNUTLS_CRD_ANON, server);
  } else {
    gnutls_anon_allocate_client_credentials(&client);
    gnutls_credentials_set(session, GNUTLS_CRD_ANON, client);
  }
  gnutls_transport_set_int(session, end);
  return session;
}

int main(void) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  gnutls_session_t client = make(GNUTLS_CLIENT, ends[0]), server = make(GNUTLS_SERVER, ends[1]);
  int of_client = GNUTLS_E_AGAIN, of_server = GNUTLS_E_AGAIN;
  while (of_client != 0 || of_server != 0) {
    if (of_client != 0) of_client = gnutls_handshake(client);
    if (of_server != 0) of_server = gnutls_handshake(server);
    must(of_client == 0 || of_client == GNUTLS_E_AGAIN);
    must(of_server == 0 || of_server == GNUTLS_E_AGAIN);
  }
  pid_t child = fork();
  if (child == 0) {
    must(gnutls_record_send(client, "child", 5) == 5);
    _exit(0);
  }
  wait_for(child);
  must(gnutls_record_send(client, "parent", 6) == 6);
  return 0;
}

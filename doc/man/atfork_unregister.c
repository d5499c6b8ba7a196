/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct connection {
  atfork_id hook;
  int is_open;
};

static void close_in_child(void *data) {
  ((struct connection *)data)->is_open = 0;
}

static struct connection *connect_to_server(void) {
  struct connection *new = calloc(1, sizeof *new);
  if (new == NULL) return NULL;
  new->is_open = 1;
  new->hook = atfork_register_after_fork(close_in_child, new);
  if (new->hook != 0) return new;
  free(new);
  return NULL;
}

static void disconnect(struct connection *connection) {
  atfork_unregister(connection->hook);
  free(connection); /* no thread's fork uses it any more */
}

int main(void) {
  struct connection *connection = connect_to_server();
  if (connection == NULL) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    printf("open in the child: %d\n", connection->is_open);
    return 0;
  }
  if (waitpid(pid, NULL, 0) != pid) return 1;
  disconnect(connection);
  return 0;
}

/* prints:
open in the child: 0
*/

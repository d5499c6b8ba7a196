/* SPDX-License-Identifier: MIT */
#include "self.h"

#include <errno.h>

#include "fork.h"
#include "os.h"
#include "process.h"

uint64_t self_generation(void) {
  return fork_enter() - 1;
}

int self_lineage(char *buf, size_t size) {
  if (buf == NULL && size != 0) {
    errno = EINVAL;
    return -1;
  }
  fork_enter();
  return (int)process_lineage(buf, size);
}

uint64_t self_seed(uint64_t base) {
  fork_enter();
  return process_seed(base);
}

int self_poll(void) {
  fork_enter();
  return fork_catch_up();
}

int self_token(char *buf, size_t size) {
  if (buf == NULL && size != 0) {
    errno = EINVAL;
    return -1;
  }
  fork_enter();
  return (int)process_token(buf, size);
}

int self_spawned(const char *token) {
  static const char variable[] = "ATFORK_TOKEN";
  int before = errno;
  int error = fork_take_place(token != NULL ? token : os_environment(variable));
  if (error != 0) {
    errno = error;
    return -1;
  }
  /* Before the hooks run, as what they spawn must not find it. */
  if (token == NULL) os_forget(variable);
  fork_spawned();
  errno = before;
  return 0;
}

const uint64_t *self_mark(void) {
  fork_enter();
  return process_mark_address();
}

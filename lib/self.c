/* SPDX-License-Identifier: MIT */
#include "self.h"

#include <errno.h>

#include "fork.h"
#include "os.h"
#include "process.h"

uint64_t atfork_self_generation(void) {
  return atfork_fork_enter() - 1;
}

int atfork_self_lineage(char *buf, size_t size) {
  if (buf == NULL && size != 0) {
    errno = EINVAL;
    return -1;
  }
  atfork_fork_enter();
  return (int)atfork_process_lineage(buf, size);
}

uint64_t atfork_self_seed(uint64_t base) {
  atfork_fork_enter();
  return atfork_process_seed(base);
}

int atfork_self_poll(void) {
  atfork_fork_enter();
  return atfork_fork_catch_up();
}

int atfork_self_token(char *buf, size_t size) {
  if (buf == NULL && size != 0) {
    errno = EINVAL;
    return -1;
  }
  atfork_fork_enter();
  return (int)atfork_process_token(buf, size);
}

int atfork_self_spawned(const char *token) {
  static const char variable[] = "ATFORK_TOKEN";
  int before = errno;
  atfork_fork_enter();
  int error = atfork_process_spawned(token != NULL ? token : atfork_os_environment(variable));
  if (error != 0) {
    errno = error;
    return -1;
  }
  /* Before the hooks run, as what they spawn must not find it. */
  if (token == NULL) atfork_os_forget(variable);
  atfork_fork_catch_up();
  errno = before;
  return 0;
}

const uint64_t *atfork_self_mark(void) {
  atfork_fork_enter();
  return atfork_process_mark_address();
}

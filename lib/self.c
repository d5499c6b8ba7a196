/* SPDX-License-Identifier: MIT */
#include "self.h"

#include <errno.h>
#include <stdbool.h>

#include "fork.h"
#include "launcher.h"
#include "os.h"
#include "probes.h"
#include "process.h"

uint64_t atfork_self_generation(void) {
  return atfork_fork_enter() - 1;
}

/* False, with errno, if `buf` is NULL but has a size. */
static bool may_write(const char *buf, size_t size) {
  if (buf != NULL || size == 0) return true;
  errno = EINVAL;
  return false;
}

int atfork_self_lineage(char *buf, size_t size) {
  if (!may_write(buf, size)) return -1;
  atfork_fork_enter();
  return (int)atfork_process_lineage(buf, size);
}

enum atfork_place atfork_self_place(void) {
  atfork_fork_enter();
  return atfork_process_place();
}

uint64_t atfork_self_run(void) {
  atfork_fork_enter();
  return atfork_process_run();
}

uint64_t atfork_self_seed(uint64_t base) {
  atfork_fork_enter();
  return atfork_process_seed(base);
}

void atfork_self_seed_bytes(uint64_t base, void *buf, size_t size) {
  atfork_fork_enter();
  atfork_process_seed_bytes(base, buf, size);
}

int atfork_self_poll(void) {
  uint64_t mark = atfork_fork_enter();
  int count = atfork_fork_catch_up();
  PROBE(poll, mark - 1, count);
  return count;
}

int atfork_self_token(char *buf, size_t size) {
  if (!may_write(buf, size)) return -1;
  atfork_fork_enter();
  return (int)atfork_process_token(buf, size);
}

int atfork_self_child_token(const char *token, uint64_t n, char *buf, size_t size) {
  size_t length;
  if (!may_write(buf, size)) return -1;
  atfork_fork_enter();
  int error = atfork_process_child_token(token, n, buf, size, &length);
  if (error == 0) return (int)length;
  errno = error;
  return -1;
}

/* Ends the taking of a place: calls the child hooks if there was no error.  Returns 0; or -1 and errno. */
static int finish_placing(int error, int before) {
  if (error == 0) atfork_fork_catch_up();
  errno = error == 0 ? before : error;
  return error == 0 ? 0 : -1;
}

int atfork_self_spawned(const char *token) {
  static const char variable[] = "ATFORK_TOKEN";
  int before = errno;
  atfork_fork_enter();
  int error = atfork_process_spawned(token != NULL ? token : atfork_os_environment(variable));
  PROBE(spawned, token, error);
  /* Before the hooks run: a process that they spawn must not find the token. */
  if (error == 0 && token == NULL) atfork_os_forget(variable);
  return finish_placing(error, before);
}

int atfork_self_adopt(const char *rank) {
  int before = errno;
  atfork_fork_enter();
  int error = atfork_process_adopt(rank);
  PROBE(adopt, rank, error);
  return finish_placing(error, before);
}

int atfork_self_launcher(char *buf, size_t size) {
  if (!may_write(buf, size)) return -1;
  atfork_fork_enter();
  return (int)atfork_launcher_show(buf, size);
}

const uint64_t *atfork_self_mark(void) {
  atfork_fork_enter();
  return atfork_process_mark_address();
}

/* SPDX-License-Identifier: MIT */
/*
 * Runs a program under seccomp filters, by which system calls fail, or in a namespace without /proc.  Where a sandbox
 * cannot be had it says so, as a test that is skipped.
 *
 * sandbox [proc] [CALL=ERRNO]... PROGRAM [ARGUMENT]...
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"

static const struct name {
  const char *name;
  unsigned number;
} calls[] =
    {
        {"futex", SYS_futex},           {"getrandom", SYS_getrandom}, {"madvise", SYS_madvise},
        {"membarrier", SYS_membarrier}, {"tgkill", SYS_tgkill},
},
  errors[] = {{"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"0", 0}};

enum { CALLS = sizeof calls / sizeof *calls, ERRORS = sizeof errors / sizeof *errors };

/* NULL: there is none. */
static const struct name *find(const struct name *names, size_t count, const char *text, size_t length) {
  for (size_t i = 0; i < count; i++)
    if (strlen(names[i].name) == length && strncmp(names[i].name, text, length) == 0) return &names[i];
  return NULL;
}

/* CALL=ERRNO */
static int refuse(const char *text) {
  size_t length = strcspn(text, "=");
  const struct name *call = find(calls, CALLS, text, length);
  const struct name *error = find(errors, ERRORS, text + length + 1, strlen(text + length + 1));
  if (call == NULL || error == NULL) return -1;
  return filter_call(call->number, SECCOMP_RET_ERRNO | error->number);
}

/* An empty directory in its place, for this process and what it makes. */
static int hide_proc(void) {
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return -1;
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
  return mount("none", "/proc", "tmpfs", MS_RDONLY, NULL);
}

static int restrain(const char *text) {
  return strcmp(text, "proc") == 0 ? hide_proc() : refuse(text);
}

int main(int argc, char **argv) {
  int at = 1;
  for (; at < argc && strchr(argv[at], '/') == NULL; at++) {
    if (restrain(argv[at]) == 0) continue;
    printf("1..0 # SKIP this system cannot refuse %s: %s\n", argv[at], strerror(errno));
    return 0;
  }
  if (at == argc) return 2;
  execv(argv[at], argv + at);
  perror(argv[at]);
  return 1;
}

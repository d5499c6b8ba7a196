/* SPDX-License-Identifier: MIT */
/*
 * A program whose library uses libatfork optionally.  Says on stdout who has the callbacks.
 *
 * host STEP...     author: loads the library; start: has it register; global, local: loads libatfork;
 *                  fork: forks, and checks what has run; unload: unloads the library; fail: has it register, which
 *                  fails with ENOMEM
 *
 * With -DAUTHOR_INSIDE the library is linked in.
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "author.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int (*start)(void);
static uint64_t (*id)(void);
static int (*ran)(void);
static int (*refuses)(void);
static int forks;

#define REQUIRE(condition)                                              \
  do {                                                                  \
    if (condition) break;                                               \
    fprintf(stderr, "host.c:%d: %s is not so\n", __LINE__, #condition); \
    _exit(1);                                                           \
  } while (0)

#ifdef AUTHOR_INSIDE
static void load_author(void) {
  start = author_start;
  id = author_id;
  ran = author_ran;
  refuses = author_refuses;
}

static void load_atfork(int flags) {
  (void)flags;
  REQUIRE(!"linked in");
}

static void unload_author(void) {
  REQUIRE(!"linked in");
}
#else
static void *author;

static void *load(const char *path, int flags) {
  void *object = dlopen(path, RTLD_NOW | flags);
  if (object == NULL) fprintf(stderr, "%s\n", dlerror());
  REQUIRE(object != NULL);
  return object;
}

static void load_author(void) {
  author = load(AUTHOR, RTLD_LOCAL);
  *(void **)&start = dlsym(author, "author_start");
  *(void **)&id = dlsym(author, "author_id");
  *(void **)&ran = dlsym(author, "author_ran");
  *(void **)&refuses = dlsym(author, "author_refuses");
}

static void load_atfork(int flags) {
  load(LIBRARY, flags);
  REQUIRE((dlsym(RTLD_DEFAULT, "atfork_version") != NULL) == (flags == RTLD_GLOBAL));
}

static void unload_author(void) {
  REQUIRE(dlclose(author) == 0);
  start = NULL;
}
#endif

/* Forks once, and expects each callback once more: in the parent prepare and parent, in the child prepare and child. */
static void check_fork(void) {
  int status = 1;
  pid_t pid = fork();
  if (pid == 0) _exit(start == NULL || ran() == (forks + 1) * 100 + forks * 10 + 1 ? 0 : 1);
  REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
  forks++;
  REQUIRE(start == NULL || ran() == forks * 110);
}

static void start_author(void) {
  REQUIRE(refuses());
  errno = EDOM;
  REQUIRE(start() == 0);
  REQUIRE(start() == 0); /* once more does nothing */
  REQUIRE(errno == EDOM);
  puts(id() != 0 ? "libatfork" : "pthread_atfork");
  /* The priority is in the id, as doc/design.md says. */
  REQUIRE(id() == 0 || id() >> 48 == AUTHOR_PRIORITY + 32768);
  fflush(stdout);
}

static void fail_author(void) {
  errno = 0;
  REQUIRE(start() == -1 && errno == ENOMEM && id() == 0);
  REQUIRE(start() == -1); /* nothing was changed */
  puts("failed");
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *step = argv[i];
    if (strcmp(step, "author") == 0)
      load_author();
    else if (strcmp(step, "global") == 0)
      load_atfork(RTLD_GLOBAL);
    else if (strcmp(step, "local") == 0)
      load_atfork(RTLD_LOCAL);
    else if (strcmp(step, "start") == 0)
      start_author();
    else if (strcmp(step, "fork") == 0)
      check_fork();
    else if (strcmp(step, "unload") == 0)
      unload_author();
    else if (strcmp(step, "fail") == 0)
      fail_author();
    else
      return 2;
  }
  return 0;
}

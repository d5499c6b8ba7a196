/* SPDX-License-Identifier: MIT */
/* Output, cleaning up and temporary files: what is done twice when a child exits, or is not; and hooks of libatfork. */
#include <atfork.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "state.h"

/* ---- Output ---- */

static void end_of_output(bool child) {
  if (is("purge") && child) __fpurge(stdout);
  if (is("null") && child) {
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, 1);
  }
  if (is("freopen") && child) stdout = freopen("/dev/null", "w", stdout);
  if (is("full"))
    for (int i = 0; i < 100000; i++) putchar('x');
  if (is("full") || (is("underscore") && child)) _exit(0);
  exit(0);
}

static void outputs(void) {
  static char buffer[4096];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  printf("unflushed");
  pid_t child = fork();
  if (child == 0) end_of_output(true);
  wait_for(child);
  end_of_output(false);
}

static void outputs_wide(void) {
  wprintf(L"unflushed");
  pid_t child = fork();
  if (child == 0) end_of_output(true);
  wait_for(child);
  end_of_output(false);
}

static void outputs_to_program(void) {
  FILE *program = popen("cat", "we");
  must(program != NULL && fputs("unflushed", program) >= 0);
  pid_t child = fork();
  if (child == 0) exit(0);
  wait_for(child);
  must(pclose(program) == 0);
}

static void outputs_in_siblings(void) {
  printf("unflushed");
  for (int i = 0; i < 2; i++) {
    pid_t child = fork();
    if (child == 0) exit(0);
    wait_for(child);
    printf("more");
  }
  _exit(0);
}

/* ---- What runs at exit ---- */

static uint64_t generation;
static void *memory;
static pid_t process;

static void clean_up(void) {
  if (is("getpid") && getpid() != process) return;
  if (is("generation") && atfork_generation() != generation) return;
  if (is("memory")) free(memory);
  if (is("memory")) return;
  printf("cleaned up\n");
}

static void exits(void) {
  generation = atfork_generation();
  process = getpid();
  memory = malloc(10);
  must(atexit(clean_up) == 0);
  pid_t child = fork();
  if (child == 0) {
    if (is("generation")) (void)atfork_generation();
    exit(0);
  }
  wait_for(child);
}

/* ---- Temporary files ---- */

static int fd;
static char path[] = "/tmp/state-XXXXXX";

static void remove_file(void) {
  char *name = strrchr(path, '/') + 1;
  if (is("unlink")) must(unlink(path) == 0);
  if (is("remove")) must(remove(path) == 0);
  if (is("unlinkat")) {
    int place = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(unlinkat(place, name, 0) == 0);
  }
  _exit(0);
}

static void deletes(void) {
  fd = mkostemp(path, O_CLOEXEC);
  must(fd != -1);
  pid_t child = fork();
  if (child == 0) remove_file();
  wait_for(child);
}

/* By its name alone. */
static void misses(void) {
  fd = mkostemp(path, O_CLOEXEC);
  must(fd != -1 && close(fd) == 0);
  pid_t child = fork();
  if (child == 0) {
    must(unlink(path) == 0);
    _exit(0);
  }
  wait_for(child);
  struct stat status;
  if (is("fopen")) must(fopen(path, "r") == NULL);
  if (is("access")) must(access(path, F_OK) == -1);
  if (is("stat")) must(stat(path, &status) == -1);
  if (is("rename")) must(rename(path, "/tmp/state-other") == -1);
  if (is("unlink")) must(unlink(path) == -1);
}

static void opens_exclusively(void) {
  snprintf(path, sizeof path, "/tmp/state-%06x", (unsigned)getpid() & 0xffffff);
  FILE *file = fopen(path, "wxe");
  must(file != NULL);
  pid_t child = fork();
  which = "unlink";
  if (child == 0) remove_file();
  wait_for(child);
}

static void deletes_renamed(void) {
  char other[] = "/tmp/state-other-XXXXXX";
  fd = mkostemp(path, O_CLOEXEC);
  must(fd != -1 && mkdtemp(other) != NULL && rmdir(other) == 0 && rename(path, other) == 0);
  pid_t child = fork();
  if (child == 0) {
    must(unlink(other) == 0);
    _exit(0);
  }
  wait_for(child);
}

/* ---- Hooks of libatfork ---- */

static void hook(void *unused) {
  (void)unused;
}

/* The handlers of libatfork itself are missed by _Fork(), but not its hooks. */
static void polls(void) {
  must(atfork_register_after_fork(hook, NULL) != 0);
  pid_t child = _Fork();
  if (child == 0) {
    must(atfork_poll() == 1);
    printf("goes on\n");
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
}

const struct state_case exit_cases[] = {
    {"outputs", outputs},
    {"outputs-wide", outputs_wide},
    {"outputs-to-program", outputs_to_program},
    {"outputs-in-siblings", outputs_in_siblings},
    {"exits", exits},
    {"deletes", deletes},
    {"misses", misses},
    {"opens-exclusively", opens_exclusively},
    {"deletes-renamed", deletes_renamed},
    {"polls", polls},
    {NULL, NULL},
};

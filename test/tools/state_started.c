/* SPDX-License-Identifier: MIT */
/*
 * Programs that inherit descriptors: those that no argument, variable or standard place names to the program, and those
 * that one does.  And descriptors that a program does not inherit.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "state.h"

static int fd;

/* Calls only what a child of vfork() may call. */
static _Noreturn void become_program(void) {
  if (is("dup2")) dup2(fd, 7);
  if (is("dup2") || is("close")) close(fd);
  if (is("standard")) dup2(fd, 1);
  if (is("fcntl")) fcntl(fd, F_SETFD, 0);
  if (is("cloexec")) fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (is("sweep")) close_range((unsigned)fd + 1, ~0U, 0);
  if (is("list")) close(open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  execl(is("fails") ? "/nonexistent" : "/bin/true", "true", (char *)NULL);
  _exit(is("fails") ? 0 : 1);
}

static void start(pid_t child) {
  if (child == 0) become_program();
  wait_for(child);
}

__attribute__((noinline)) static void opens(void) {
  fd = socket(AF_INET, SOCK_STREAM | (is("fcntl") ? SOCK_CLOEXEC : 0), 0);
  must(fd > 2);
}

static void starts_by_fork(void) {
  opens();
  start(fork());
}

/* What the child opens itself, it has for the program. */
static void starts_with_own(void) {
  pid_t child = fork();
  if (child == 0) opens();
  start(child);
}

static void starts_by_vfork(void) {
  opens();
  pid_t child = vfork();
  if (child == 0) become_program();
  wait_for(child);
}

static void starts_by_spawn(void) {
  pid_t child;
  posix_spawn_file_actions_t actions;
  char *const arguments[] = {(char[]){"true"}, NULL};
  opens();
  must(posix_spawn_file_actions_init(&actions) == 0);
  if (is("dup2")) posix_spawn_file_actions_adddup2(&actions, fd, fd);
  if (is("close")) posix_spawn_file_actions_addclose(&actions, fd);
  if (is("closefrom")) posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  must(posix_spawn(&child, "/bin/true", &actions, NULL, arguments, (char *[]){NULL}) == 0);
  wait_for(child);
}

static void starts_told(void) {
  char count[16];
  opens();
  snprintf(count, sizeof count, "%d", fd - 2);
  must(setenv("LISTEN_FDS", count, 1) == 0);
  start(fork());
}

/* It is this program, which reads there, or does not. */
static void starts_user(void) {
  int ends[2];
  must(pipe(ends) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0 && write(ends[1], "01", 2) == 2);
  must(ends[0] < 100);
  pid_t child = fork();
  if (child == 0) {
    char number[2] = {(char)('a' + ends[0]), '\0'};
    execl(self, self, is("reads") ? "started" : "nothing", number, (char *)NULL);
    _exit(1);
  }
  wait_for(child);
}

static void started(void) {
  char bytes[2];
  fd = which[0] - 'a';
  must(read(fd, bytes, 2) == 2);
}

static void nothing(void) {
}

static void starts_with_file(void) {
  FILE *file = fopen(is("r") ? "/etc/passwd" : "/tmp/state-file", which);
  must(file != NULL);
  unlink("/tmp/state-file");
  start(fork());
}

const struct state_case started_cases[] = {
    {"starts-by-fork", starts_by_fork},
    {"starts-with-own", starts_with_own},
    {"starts-by-vfork", starts_by_vfork},
    {"starts-by-spawn", starts_by_spawn},
    {"starts-told", starts_told},
    {"starts-with-file", starts_with_file},
    {"starts-user", starts_user},
    {"started", started},
    {"nothing", nothing},
    {NULL, NULL},
};

/* SPDX-License-Identifier: MIT */
/*
 * A program whose own allocator makes freed memory unreadable, with streams that the C library closes, and with
 * functions of its own that have the C library's names.
 */
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEAD = 16 };

void *malloc(size_t size) {
  char *memory = mmap(NULL, size + HEAD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  memcpy(memory, &size, sizeof size);
  return memory + HEAD;
}

static size_t size_of(const void *memory) {
  size_t size;
  memcpy(&size, (const char *)memory - HEAD, sizeof size);
  return size;
}

void free(void *memory) {
  if (memory != NULL) mprotect((char *)memory - HEAD, size_of(memory) + HEAD, PROT_NONE);
}

void *calloc(size_t count, size_t size) {
  return malloc(count * size); /* the kernel gives zeros */
}

void *realloc(void *memory, size_t size) {
  char *larger = malloc(size);
  if (larger == NULL || memory == NULL) return larger;
  size_t before = size_of(memory);
  memcpy(larger, memory, before < size ? before : size);
  free(memory);
  return larger;
}

static int in_child; /* where the C library calls neither of these two */

char *getenv(const char *name) {
  (void)name;
  if (in_child) abort();
  return NULL;
}

uid_t geteuid(void) {
  if (in_child) abort();
  return (uid_t)syscall(SYS_geteuid);
}

static void fork_once(void) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    in_child = 1;
    execlp("true", "true", (char *)NULL);
    _exit(1);
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) exit(97);
}

int main(void) {
  setpwent();
  if (getpwent() == NULL) return 77;
  fork_once();
  endpwent();
  fork_once();
  return 0;
}

/* SPDX-License-Identifier: MIT */
#include "forks.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "patience.h"
#include "raw_fork.h"

bool is_emulated, pages_are_wiped;

/* As the library asks: of the kernel, or of the test's own madvise(). */
__attribute__((constructor)) static void ask_kernel(void) {
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pages_are_wiped = madvise(page, size, -1) != 0 && madvise(page, size, MADV_WIPEONFORK) == 0;
  is_emulated = getenv("ATFORK_TEST_EMULATED") != NULL;
  munmap(page, size);
}

pid_t fork_by_syscall(void) {
  return raw_fork();
}

pid_t fork_by_clone(void) {
  return raw_clone();
}

const struct way ways[] = {
    {"fork", fork, false},
    {"_Fork", _Fork, true},
    {"syscall", fork_by_syscall, true},
    {"clone", fork_by_clone, true},
};
const size_t ways_count = sizeof ways / sizeof ways[0];

void (*coverage_dump)(void);

void add_race(const char *path, void (*test)(void)) {
#ifdef ATFORK_TEST_SHORT
  (void)path;
  (void)test;
#else
  g_test_add_func(path, test);
#endif
}

void child_passes(void) {
  if (coverage_dump != NULL) coverage_dump();
  _exit(CHILD_PASSED);
}

void child_fails(const char *file, int line, const char *what) {
  dprintf(STDERR_FILENO, "%s:%d: in child %d: failed: %s\n", file, line, (int)getpid(), what);
  _exit(1);
}

void child_check_numbers(long long a, long long b, bool holds, const char *what, const char *file, int line) {
  if (holds) return;
  dprintf(STDERR_FILENO, "%s:%d: in child %d: failed: %s (%lld, %lld)\n", file, line, (int)getpid(), what, a, b);
  _exit(1);
}

void in_child(pid_t (*make)(void), void (*body)(void)) {
  pid_t pid = make();
  g_assert_cmpint(pid, >=, 0);
  if (pid == 0) {
    alarm(patience());
    body();
    child_passes();
  }
  expect_passed(pid);
}

/* Ends a child that hangs in a lock of the emulator: there SIGALRM, which ends any other child, is never handled. */
static void end_in_time(pid_t pid) {
  int child = (int)syscall(SYS_pidfd_open, pid, 0);
  struct pollfd end = {.fd = child, .events = POLLIN};
  int ready;
  if (child < 0) return; /* before Linux 5.3 */
  do ready = poll(&end, 1, (int)patience() * 1500);
  while (ready < 0 && errno == EINTR);
  close(child);
  if (ready != 0) return;
  dprintf(STDERR_FILENO, "child %d has not taken SIGALRM: the emulator hangs\n", (int)pid);
  kill(pid, SIGKILL);
}

void expect_passed(pid_t pid) {
  int status;
  pid_t ended;
  if (is_emulated) end_in_time(pid);
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  g_assert_cmpint(ended, ==, pid);
  if (WIFSIGNALED(status))
    g_error("child %d ended by signal %d (%s)", (int)pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
  g_assert_cmpint(WEXITSTATUS(status), ==, CHILD_PASSED);
}

void run_again(const char *option, const char *argument) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) _exit(1);
  path[length] = '\0';
  execl(path, path, option, argument, NULL);
  _exit(1);
}

static bool is_under_valgrind(void) {
  return g_getenv("ATFORK_TEST_VALGRIND") != NULL;
}

#if defined(__SANITIZE_THREAD__)
enum { SANITIZED = 10, FORKS_BY_VFORK = true };
#elif defined(__SANITIZE_ADDRESS__) || defined(ATFORK_TEST_SHORT)
enum { SANITIZED = 10, FORKS_BY_VFORK = false };
#else
enum { SANITIZED = 1, FORKS_BY_VFORK = false };
#endif

int rounds(int many) {
  return many / (is_under_valgrind() || is_emulated ? 50 : SANITIZED);
}

bool has_vfork(void) {
  return !FORKS_BY_VFORK && !is_under_valgrind();
}

void __cxa_finalize(void *object);

void finalize(void *object) {
  __cxa_finalize(object);
}

void *share(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true(memory != MAP_FAILED);
  return memory;
}

void gate_make(struct gate *gate) {
  g_assert_cmpint(pipe(gate->ends), ==, 0);
}

void gate_open(struct gate *gate) {
  if (write(gate->ends[1], "", 1) != 1) abort();
}

void gate_wait(struct gate *gate) {
  char byte;
  struct pollfd readable = {.fd = gate->ends[0], .events = POLLIN};
  int ready;
  do ready = poll(&readable, 1, (int)patience() * 1000);
  while (ready < 0 && errno == EINTR);
  if (ready != 1 || read(gate->ends[0], &byte, 1) != 1) {
    dprintf(STDERR_FILENO, "process %d waited in vain\n", (int)getpid());
    abort();
  }
}

/* SPDX-License-Identifier: MIT */
/*
 * Promise 17: how a process has begun, with unusual contents of /proc; and the run where the kernel gives no random
 * numbers.
 */
#include <atfork.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os.h" /* the library's own */

/* ---- Between the library and the system, where a test says so ---- */

static struct {
  bool stands_between;
  const char *own, *first;    /* lines of /proc; NULL: there is none */
  int own_file, parents_file; /* the program's number; or minus the error */
} proc;

static int file_with(const char *line) {
  if (line == NULL) {
    errno = ENOENT;
    return -1;
  }
  int file = memfd_create("line", MFD_CLOEXEC);
  g_assert_cmpint(write(file, line, strlen(line)), ==, (int)strlen(line));
  lseek(file, 0, SEEK_SET);
  return file;
}

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  if (!proc.stands_between) return __real_open(path, flags, 0);
  return file_with(strcmp(path, "/proc/self/stat") == 0 ? proc.own : proc.first);
}

int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) {
  return __wrap_open(path, flags);
}

int __real_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status) {
  if (!proc.stands_between) return __real_stat(path, status);
  int file = strcmp(path, "/proc/self/exe") == 0 ? proc.own_file : proc.parents_file;
  *status = (struct stat){.st_dev = (dev_t)(file / 10), .st_ino = (ino_t)(file % 10)};
  errno = -file;
  return file < 0 ? -1 : 0;
}

int __wrap_stat64(const char *path, struct stat *status);
int __wrap_stat64(const char *path, struct stat *status) {
  return __wrap_stat(path, status);
}

/* A line that is only this is there, but cannot be read. */
ssize_t __real_read(int file, void *buf, size_t size);
ssize_t __wrap_read(int file, void *buf, size_t size);
ssize_t __wrap_read(int file, void *buf, size_t size) {
  ssize_t length = __real_read(file, buf, size);
  if (!proc.stands_between || length != 1) return length;
  errno = EIO;
  return -1;
}

static bool refuses_random;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_getrandom && refuses_random) {
    errno = EAGAIN;
    return -1;
  }
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

/* ---- Forked by one that is alike ---- */

#define LINE(name, parent, flags) "12 (" name ") S " parent " 12 12 34816 12 " flags " 100 0 0 0\n"

static const struct situation {
  const char *name, *own, *first;
  int own_file, parents_file;
  bool is_alike;
} situations[] = {
    {"alike", LINE("a", "7", "4194368"), NULL, 11, 11, true},
    {"another-program", LINE("a", "7", "4194368"), NULL, 11, 12, false},
    {"another-disk", LINE("a", "7", "4194368"), NULL, 11, 21, false},
    {"after-exec", LINE("a", "7", "4194304"), NULL, 11, 11, false},
    {"parenthesis-in-name", LINE("a) R 1 1 1 1 1 0 (b", "7", "64"), NULL, 11, 11, true},
    {"no-proc", NULL, NULL, 11, 11, false},
    {"nothing-there", "", NULL, 11, 11, false},
    {"no-name", "12 a S 7 12 12 34816 12 64", NULL, 11, 11, false},
    {"too-short", "12 (a) S 7 12", NULL, 11, 11, false},
    {"cannot-be-read", "!", NULL, 11, 11, false},
    {"own-program-unknown", LINE("a", "7", "64"), NULL, -EACCES, 11, false},
    {"parent-unreadable", LINE("a", "7", "64"), NULL, 11, -EACCES, true},
    {"parent-gone", LINE("a", "7", "64"), NULL, 11, -ENOENT, false},
    {"first-process-unreadable", LINE("a", "1", "64"), LINE("init", "0", "4194560"), 11, -EACCES, false},
    {"first-process-alike", LINE("a", "1", "64"), LINE("a", "0", "4194560"), 11, -EACCES, true},
    {"first-process-hidden", LINE("a", "1", "64"), NULL, 11, -EACCES, true},
    {"first-process-readable", LINE("a", "1", "64"), NULL, 11, 12, false},
};

static void test_situation(gconstpointer data) {
  const struct situation *situation = data;
  proc.own = situation->own;
  proc.first = situation->first;
  proc.own_file = situation->own_file;
  proc.parents_file = situation->parents_file;
  proc.stands_between = true;
  errno = ERANGE;
  bool is_alike = atfork_os_is_forked_by_alike();
  int error = errno;
  proc.stands_between = false;
  g_assert_true(is_alike == situation->is_alike);
  g_assert_cmpint(error, ==, ERANGE);
}

/* ---- Random numbers ---- */

static void check_random(void) {
  enum { MANY = 100 };
  uint64_t drawn[MANY];
  errno = ERANGE;
  for (int i = 0; i < MANY; i++) {
    drawn[i] = atfork_os_random();
    for (int j = 0; j < i; j++) g_assert_cmpuint(drawn[i], !=, drawn[j]);
  }
  g_assert_cmpint(errno, ==, ERANGE);
}

static void test_random(void) {
  check_random();
}

/* As when the system has just been started. */
static void test_no_random(void) {
  refuses_random = true;
  check_random();
  refuses_random = false;
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(situations); i++) {
    char path[64];
    g_snprintf(path, sizeof path, "/begun/%s", situations[i].name);
    g_test_add_data_func(path, &situations[i], test_situation);
  }
  g_test_add_func("/begun/random", test_random);
  g_test_add_func("/begun/no-random", test_no_random);
  return g_test_run();
}

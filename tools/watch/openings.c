/* SPDX-License-Identifier: MIT */
/* Functions that give or take a descriptor's number. */
#undef _FILE_OFFSET_BITS /* it would have open() mean open64() */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "descriptors.h"

#define SITE __builtin_return_address(0)

/* ---- Files ---- */

NEXT(open);
NEXT(open64);
NEXT(openat);
NEXT(openat64);
NEXT(creat);
NEXT(creat64);

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int directory, const char *path, int flags);
int __openat64_2(int directory, const char *path, int flags);
NEXT(__open_2);
NEXT(__open64_2);
NEXT(__openat_2);
NEXT(__openat64_2);

static void look_for_sweep(const char *path) {
  if (strcmp(path, "/proc/self/fd") == 0 || strcmp(path, "/dev/fd") == 0 || strcmp(path, "/proc/self/fd/") == 0)
    descriptors_swept();
}

static int opened(int fd, const char *path, int flags, const void *site) {
  int saved = errno;
  if (fd != -1) look_for_sweep(path);
  descriptor_opened(fd, site);
  files_opened(fd, path, flags);
  errno = saved;
  return fd;
}

/* The mode, which is passed only if a file may be created. */
#define MODE(flags, mode)                                     \
  do {                                                        \
    if (((flags)&O_CREAT) != 0 || __OPEN_NEEDS_MODE(flags)) { \
      va_list rest;                                           \
      va_start(rest, flags);                                  \
      (mode) = (mode_t)va_arg(rest, int);                     \
      va_end(rest);                                           \
    }                                                         \
  } while (0)

EXPORT int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE(flags, mode);
  return opened(CALL(open)(path, flags, mode), path, flags, SITE);
}

EXPORT int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE(flags, mode);
  return opened(CALL(open64)(path, flags, mode), path, flags, SITE);
}

EXPORT int openat(int directory, const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE(flags, mode);
  return opened(CALL(openat)(directory, path, flags, mode), path, flags, SITE);
}

EXPORT int openat64(int directory, const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE(flags, mode);
  return opened(CALL(openat64)(directory, path, flags, mode), path, flags, SITE);
}

EXPORT int __open_2(const char *path, int flags) {
  return opened(CALL(__open_2)(path, flags), path, flags, SITE);
}

EXPORT int __open64_2(const char *path, int flags) {
  return opened(CALL(__open64_2)(path, flags), path, flags, SITE);
}

EXPORT int __openat_2(int directory, const char *path, int flags) {
  return opened(CALL(__openat_2)(directory, path, flags), path, flags, SITE);
}

EXPORT int __openat64_2(int directory, const char *path, int flags) {
  return opened(CALL(__openat64_2)(directory, path, flags), path, flags, SITE);
}

EXPORT int creat(const char *path, mode_t mode) {
  return opened(CALL(creat)(path, mode), path, O_CREAT | O_TRUNC | O_WRONLY, SITE);
}

EXPORT int creat64(const char *path, mode_t mode) {
  return opened(CALL(creat64)(path, mode), path, O_CREAT | O_TRUNC | O_WRONLY, SITE);
}

/* ---- Streams, which open and close inside the C library ---- */

NEXT(fopen);
NEXT(fopen64);
NEXT(tmpfile);
NEXT(tmpfile64);
NEXT(fclose);
NEXT(pclose);
NEXT(opendir);
NEXT(closedir);

static FILE *stream_opened(FILE *file, const char *path, const char *mode, const void *site) {
  int flags = strchr(mode, 'x') == NULL ? 0 : O_CREAT | O_EXCL;
  opened(file == NULL ? -1 : fileno_unlocked(file), path, flags, site);
  return file;
}

EXPORT FILE *fopen(const char *restrict path, const char *restrict mode) {
  return stream_opened(CALL(fopen)(path, mode), path, mode, SITE);
}

EXPORT FILE *fopen64(const char *restrict path, const char *restrict mode) {
  return stream_opened(CALL(fopen64)(path, mode), path, mode, SITE);
}

static FILE *temporary_opened(FILE *file, const void *site) {
  if (file != NULL) descriptor_opened(fileno_unlocked(file), site);
  return file;
}

EXPORT FILE *tmpfile(void) {
  return temporary_opened(CALL(tmpfile)(), SITE);
}

EXPORT FILE *tmpfile64(void) {
  return temporary_opened(CALL(tmpfile64)(), SITE);
}

/* A stream in memory has no descriptor, and fileno() sets errno. */
static void stream_closing(FILE *file) {
  int saved = errno;
  stdio_before_close(file);
  descriptor_closing(fileno_unlocked(file));
  errno = saved;
}

EXPORT int fclose(FILE *file) {
  stream_closing(file);
  return CALL(fclose)(file);
}

EXPORT int pclose(FILE *file) {
  stream_closing(file);
  return CALL(pclose)(file);
}

EXPORT DIR *opendir(const char *path) {
  DIR *directory = CALL(opendir)(path);
  opened(directory == NULL ? -1 : dirfd(directory), path, 0, SITE);
  return directory;
}

EXPORT int closedir(DIR *directory) {
  DIR *volatile given = directory; /* it may be NULL, which the header has the compiler rule out */
  if (given != NULL) descriptor_closing(dirfd(directory));
  return CALL(closedir)(directory);
}

/* ---- Sockets and pipes ---- */

NEXT(socket);
NEXT(socketpair);
NEXT(accept);
NEXT(accept4);
NEXT(pipe);
NEXT(pipe2);

EXPORT int socket(int domain, int type, int protocol) {
  return descriptor_opened(CALL(socket)(domain, type, protocol), SITE);
}

static int pair_opened(int result, const int *ends, const void *site) {
  if (result != 0) return result;
  descriptor_opened(ends[0], site);
  descriptor_opened(ends[1], site);
  return 0;
}

EXPORT int socketpair(int domain, int type, int protocol, int ends[2]) {
  return pair_opened(CALL(socketpair)(domain, type, protocol, ends), ends, SITE);
}

EXPORT int pipe(int ends[2]) {
  return pair_opened(CALL(pipe)(ends), ends, SITE);
}

EXPORT int pipe2(int ends[2], int flags) {
  return pair_opened(CALL(pipe2)(ends, flags), ends, SITE);
}

EXPORT int accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict length) {
  descriptor_used(fd, USE_OTHER);
  return descriptor_opened(CALL(accept)(fd, address, length), SITE);
}

EXPORT int accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict length, int flags) {
  descriptor_used(fd, USE_OTHER);
  return descriptor_opened(CALL(accept4)(fd, address, length, flags), SITE);
}

/* ---- Events, memory ---- */

NEXT(epoll_create);
NEXT(epoll_create1);
NEXT(eventfd);
NEXT(timerfd_create);
NEXT(signalfd);
NEXT(inotify_init);
NEXT(inotify_init1);
NEXT(memfd_create);

EXPORT int epoll_create(int size) {
  return descriptor_opened(CALL(epoll_create)(size), SITE);
}

EXPORT int epoll_create1(int flags) {
  return descriptor_opened(CALL(epoll_create1)(flags), SITE);
}

EXPORT int eventfd(unsigned count, int flags) {
  int fd = descriptor_opened(CALL(eventfd)(count, flags), SITE);
  if ((flags & EFD_SEMAPHORE) != 0 && descriptor_is_known(fd)) descriptors[fd].semaphore = true;
  return fd;
}

EXPORT int timerfd_create(clockid_t clock, int flags) {
  return descriptor_opened(CALL(timerfd_create)(clock, flags), SITE);
}

EXPORT int signalfd(int fd, const sigset_t *signals, int flags) {
  int result = CALL(signalfd)(fd, signals, flags);
  return fd == -1 ? descriptor_opened(result, SITE) : result;
}

EXPORT int inotify_init(void) {
  return descriptor_opened(CALL(inotify_init)(), SITE);
}

EXPORT int inotify_init1(int flags) {
  return descriptor_opened(CALL(inotify_init1)(flags), SITE);
}

EXPORT int memfd_create(const char *name, unsigned flags) {
  return descriptor_opened(CALL(memfd_create)(name, flags), SITE);
}

/* ---- Copies of a number, and its end ---- */

NEXT(dup);
NEXT(dup2);
NEXT(dup3);
NEXT(fcntl);
NEXT(fcntl64);
NEXT(close);
NEXT(close_range);
NEXT(closefrom);

EXPORT int dup(int fd) {
  return descriptor_copied(fd, CALL(dup)(fd), SITE, false);
}

EXPORT int dup2(int old, int fd) {
  return descriptor_copied(old, CALL(dup2)(old, fd), SITE, true);
}

EXPORT int dup3(int old, int fd, int flags) {
  return descriptor_copied(old, CALL(dup3)(old, fd, flags), SITE, (flags & O_CLOEXEC) == 0);
}

static int controlled(int fd, int command, long argument, int result, const void *site) {
  if (result == -1) return result;
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
    descriptor_copied(fd, result, site, command == F_DUPFD && result == argument);
  if (command == F_SETFD && (argument & FD_CLOEXEC) == 0) descriptor_given(fd);
  if (command == F_SETLK || command == F_SETLKW)
    atomic_store_explicit(&descriptors_locked, ((const struct flock *)argument)->l_type != F_UNLCK,
                          memory_order_relaxed);
  return result;
}

EXPORT int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  long argument = va_arg(rest, long);
  va_end(rest);
  return controlled(fd, command, argument, CALL(fcntl)(fd, command, argument), SITE);
}

EXPORT int fcntl64(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  long argument = va_arg(rest, long);
  va_end(rest);
  return controlled(fd, command, argument, CALL(fcntl64)(fd, command, argument), SITE);
}

EXPORT int close(int fd) {
  descriptor_closing(fd);
  return CALL(close)(fd);
}

static void closing_from(unsigned first, unsigned last) {
  if (!watches(WATCH_DESCRIPTORS)) return;
  descriptors_swept();
  for (unsigned fd = first; fd <= last && fd < DESCRIPTORS; fd++)
    if (descriptors[fd].site != NULL || fd < 64) descriptor_closing((int)fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags) {
  if ((flags & (int)CLOSE_RANGE_CLOEXEC) == 0) closing_from(first, last);
  return CALL(close_range)(first, last, flags);
}

EXPORT void closefrom(int first) {
  closing_from(first < 0 ? 0 : (unsigned)first, DESCRIPTORS);
  CALL(closefrom)(first);
}

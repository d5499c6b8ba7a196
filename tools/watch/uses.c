/* SPDX-License-Identifier: MIT */
/* Functions that use a descriptor in a way that other processes with this descriptor notice. */
#undef _FILE_OFFSET_BITS /* it would have open() mean open64() */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "buffers.h"
#include "descriptors.h"
#include "raw.h"

NEXT(read);
NEXT(readv);
NEXT(recv);
NEXT(recvfrom);
NEXT(recvmsg);
NEXT(recvmmsg);
NEXT(write);
NEXT(writev);
NEXT(send);
NEXT(sendto);
NEXT(sendmsg);
NEXT(sendmmsg);
NEXT(sendfile);
NEXT(sendfile64);
NEXT(splice);
NEXT(lseek);
NEXT(lseek64);
NEXT(readdir);
NEXT(readdir64);
NEXT(rewinddir);
NEXT(epoll_ctl);
NEXT(epoll_wait);
NEXT(epoll_pwait);
NEXT(epoll_pwait2);
NEXT(eventfd_read);
NEXT(eventfd_write);
NEXT(flock);

ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room);
ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags, __SOCKADDR_ARG from,
                       socklen_t *length);
int __vdprintf_chk(int fd, int flag, const char *format, va_list rest);
int __dprintf_chk(int fd, int flag, const char *format, ...);
NEXT(vdprintf);
NEXT(__vdprintf_chk);
NEXT(__read_chk);
NEXT(__recv_chk);
NEXT(__recvfrom_chk);

/* ---- Reading: also if nothing was read, as another process may have been faster ---- */

/* An empty read of a file depends on the offset; an empty read of a stream means that its end was reached. */
static void was_read_to_end(int fd) {
  if (forks_generation() != 0 && raw_call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0) >= 0) descriptor_used(fd, USE_READ);
}

static ssize_t was_read(int fd, size_t size, ssize_t result) {
  int saved = errno;
  if (result == 0)
    was_read_to_end(fd);
  else if (result > 0 || saved == EAGAIN)
    descriptor_used(fd, size == 1 ? USE_TAKE : USE_READ);
  errno = saved;
  return result;
}

EXPORT ssize_t read(int fd, void *buffer, size_t size) {
  return was_read(fd, size, CALL(read)(fd, buffer, size));
}

EXPORT ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room) {
  return was_read(fd, size, CALL(__read_chk)(fd, buffer, size, room));
}

EXPORT ssize_t readv(int fd, const struct iovec *parts, int count) {
  return was_read(fd, SIZE_MAX, CALL(readv)(fd, parts, count));
}

/* MSG_PEEK does not remove the data. */
static ssize_t was_received(int fd, size_t size, ssize_t result, int flags) {
  return (flags & MSG_PEEK) != 0 ? result : was_read(fd, size, result);
}

EXPORT ssize_t recv(int fd, void *buffer, size_t size, int flags) {
  return was_received(fd, size, CALL(recv)(fd, buffer, size, flags), flags);
}

EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags) {
  return was_received(fd, size, CALL(__recv_chk)(fd, buffer, size, room, flags), flags);
}

EXPORT ssize_t recvfrom(int fd, void *restrict buffer, size_t size, int flags, __SOCKADDR_ARG from,
                        socklen_t *restrict length) {
  return was_received(fd, size, CALL(recvfrom)(fd, buffer, size, flags, from, length), flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags, __SOCKADDR_ARG from,
                              socklen_t *length) {
  return was_received(fd, size, CALL(__recvfrom_chk)(fd, buffer, size, room, flags, from, length), flags);
}

/* Descriptors may be passed with the data. */
static void were_given(const struct msghdr *message, const void *site) {
  if (message->msg_controllen == 0) return;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
       part = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const int *given = (const int *)(const void *)CMSG_DATA(part);
    for (size_t i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) descriptor_opened(given[i], site);
  }
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  ssize_t result = CALL(recvmsg)(fd, message, flags);
  if (result >= 0) were_given(message, __builtin_return_address(0));
  return was_received(fd, SIZE_MAX, result, flags);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
  int result = CALL(recvmmsg)(fd, messages, count, flags, limit);
  for (int i = 0; i < result; i++) were_given(&messages[i].msg_hdr, __builtin_return_address(0));
  return (int)was_received(fd, SIZE_MAX, result, flags);
}

/* ---- Writing ---- */

static ssize_t was_written(int fd, ssize_t result) {
  if (result > 0) descriptor_used(fd, USE_WRITE);
  exits_acts();
  return result;
}

EXPORT ssize_t write(int fd, const void *buffer, size_t size) {
  ssize_t result = CALL(write)(fd, buffer, size);
  if (result > 0) buffers_written(fd, buffer, (size_t)result);
  return was_written(fd, result);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
  ssize_t result = CALL(writev)(fd, parts, count);
  if (result > 0) buffers_written(fd, parts[0].iov_base, parts[0].iov_len);
  return was_written(fd, result);
}

EXPORT ssize_t send(int fd, const void *buffer, size_t size, int flags) {
  return was_written(fd, CALL(send)(fd, buffer, size, flags));
}

EXPORT ssize_t sendto(int fd, const void *buffer, size_t size, int flags, __CONST_SOCKADDR_ARG to, socklen_t length) {
  return was_written(fd, CALL(sendto)(fd, buffer, size, flags, to, length));
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  return was_written(fd, CALL(sendmsg)(fd, message, flags));
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  return (int)was_written(fd, CALL(sendmmsg)(fd, messages, count, flags));
}

EXPORT int vdprintf(int fd, const char *restrict format, va_list rest) {
  return (int)was_written(fd, CALL(vdprintf)(fd, format, rest));
}

EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list rest) {
  return (int)was_written(fd, CALL(__vdprintf_chk)(fd, flag, format, rest));
}

EXPORT int dprintf(int fd, const char *restrict format, ...) {
  va_list rest;
  va_start(rest, format);
  int result = vdprintf(fd, format, rest);
  va_end(rest);
  return result;
}

EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...) {
  va_list rest;
  va_start(rest, format);
  int result = __vdprintf_chk(fd, flag, format, rest);
  va_end(rest);
  return result;
}

static ssize_t was_moved(int to, int from, bool from_offset, ssize_t result) {
  if (from_offset) was_read(from, SIZE_MAX, result);
  return was_written(to, result);
}

EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
  return was_moved(to, from, offset == NULL, CALL(sendfile)(to, from, offset, size));
}

EXPORT ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
  return was_moved(to, from, offset == NULL, CALL(sendfile64)(to, from, offset, size));
}

EXPORT ssize_t splice(int from, off64_t *in, int to, off64_t *out, size_t size, unsigned flags) {
  ssize_t result = CALL(splice)(from, in, to, out, size, flags);
  if (in == NULL) was_read(from, SIZE_MAX, result);
  return out == NULL ? was_written(to, result) : result;
}

/* ---- The offset ---- */

static off64_t was_sought(int fd, off64_t offset, int whence, off64_t result) {
  if (result != -1 && (offset != 0 || whence != SEEK_CUR)) descriptor_used(fd, USE_SEEK);
  return result;
}

EXPORT off_t lseek(int fd, off_t offset, int whence) {
  return was_sought(fd, offset, whence, CALL(lseek)(fd, offset, whence));
}

EXPORT off64_t lseek64(int fd, off64_t offset, int whence) {
  return was_sought(fd, offset, whence, CALL(lseek64)(fd, offset, whence));
}

/* ---- Directories: the C library reads many entries at a time ---- */

static long offset_of(int fd) {
  return raw_call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);
}

/* The offset before, if it matters; -1: it does not. */
static long before_entry(DIR *directory) {
  return LIKELY(forks_generation() == 0) ? -1 : offset_of(dirfd(directory));
}

static void after_entry(DIR *directory, long before, bool ends) {
  if (before >= 0 && (ends || offset_of(dirfd(directory)) != before)) descriptor_used(dirfd(directory), USE_READ);
}

EXPORT struct dirent *readdir(DIR *directory) {
  long before = before_entry(directory);
  struct dirent *entry = CALL(readdir)(directory);
  after_entry(directory, before, entry == NULL);
  return entry;
}

EXPORT struct dirent64 *readdir64(DIR *directory) {
  long before = before_entry(directory);
  struct dirent64 *entry = CALL(readdir64)(directory);
  after_entry(directory, before, entry == NULL);
  return entry;
}

EXPORT void rewinddir(DIR *directory) {
  descriptor_used(dirfd(directory), USE_SEEK);
  CALL(rewinddir)(directory);
}

/* ---- Events ---- */

EXPORT int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
  int result = CALL(epoll_ctl)(set, operation, fd, event);
  if (result == 0) descriptor_used(set, USE_CONTROL);
  return result;
}

EXPORT int epoll_wait(int set, struct epoll_event *events, int count, int limit) {
  descriptor_used(set, USE_WAIT);
  return CALL(epoll_wait)(set, events, count, limit);
}

EXPORT int epoll_pwait(int set, struct epoll_event *events, int count, int limit, const sigset_t *signals) {
  descriptor_used(set, USE_WAIT);
  return CALL(epoll_pwait)(set, events, count, limit, signals);
}

EXPORT int epoll_pwait2(int set, struct epoll_event *events, int count, const struct timespec *limit,
                        const sigset_t *signals) {
  descriptor_used(set, USE_WAIT);
  return CALL(epoll_pwait2)(set, events, count, limit, signals);
}

EXPORT int eventfd_read(int fd, eventfd_t *value) {
  int result = CALL(eventfd_read)(fd, value);
  was_read(fd, SIZE_MAX, result == 0 ? (ssize_t)sizeof *value : -1);
  return result;
}

EXPORT int eventfd_write(int fd, eventfd_t value) {
  int result = CALL(eventfd_write)(fd, value);
  if (result == 0) descriptor_used(fd, USE_WRITE);
  return result;
}

/* ---- Locks between processes: a process that holds one shares on purpose ---- */

EXPORT int flock(int fd, int operation) {
  int result = CALL(flock)(fd, operation);
  if (result == 0) atomic_store_explicit(&descriptors_locked, (operation & LOCK_UN) == 0, memory_order_relaxed);
  return result;
}

/* ---- syscall() ---- */

void descriptors_syscall(long number, const long *args, long result, const void *site) {
  if (number == SYS_io_uring_setup && result >= 0) descriptor_opened((int)result, site);
  if (number == SYS_io_uring_enter && result >= 0) descriptor_used((int)args[0], USE_ENTER);
  if (number == SYS_read) was_read((int)args[0], (size_t)args[2], result);
  if (number == SYS_write) was_written((int)args[0], result);
}

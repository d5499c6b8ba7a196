/* SPDX-License-Identifier: MIT */
/*
 * Temporary files and directories: which process made each, and which process deletes it.
 *
 * For each one that this process made, or its parent before the fork, these are kept: the path, the inode and, if
 * known, the descriptor.  If a child deletes one that it has not made, it writes a record.  So does the maker, if it
 * looks for one that is gone.
 */
#undef _FILE_OFFSET_BITS /* it would have open() mean open64() */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "raw.h"
#include "watch.h"

#define SITE __builtin_return_address(0)

NEXT(mkstemp);
NEXT(mkstemp64);
NEXT(mkostemp);
NEXT(mkostemp64);
NEXT(mkstemps);
NEXT(mkstemps64);
NEXT(mkostemps);
NEXT(mkostemps64);
NEXT(mkdtemp);
NEXT(mkdir);
NEXT(unlink);
NEXT(unlinkat);
NEXT(rmdir);
NEXT(remove);
NEXT(rename);
NEXT(access);
NEXT(stat);
NEXT(lstat);
NEXT(stat64);
NEXT(lstat64);
NEXT(fstatat);
NEXT(fstatat64);

enum { FILES = 64, PATH_ROOM = 240 };

struct temporary {
  char path[PATH_ROOM];   /* as the program named it */
  uint64_t device, inode; /* 0: the place is free */
  uint64_t id;            /* of its descriptor, when it was made; 0: none */
  uint32_t maker, fd;     /* number of the process */
};

/* When there are too many, the oldest is forgotten. */
static struct temporary files[FILES];
static _Atomic uint32_t files_made;

/* ---- What is made ---- */

static const char *directory_variable; /* TMPDIR when the program was started */

__attribute__((constructor(105))) static void learn_directory(void) {
  directory_variable = watch_variable("TMPDIR");
}

static bool lies_in(const char *path, const char *directory) {
  size_t length = directory == NULL ? 0 : strlen(directory);
  while (length > 0 && directory[length - 1] == '/') length--;
  return length > 0 && strncmp(path, directory, length) == 0 && path[length] == '/';
}

static bool is_temporary(const char *path) {
  static const char *const directories[] = {"/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run"};
  for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
    if (lies_in(path, directories[i])) return true;
  return lies_in(path, directory_variable);
}

/* Also by its name in the working directory. */
static bool is_in_temporary(const char *path) {
  char whole[PATH_ROOM];
  if (*path == '/') return is_temporary(path);
  long size = raw_call(SYS_getcwd, (long)whole, sizeof whole - 1, 0, 0, 0, 0); /* with its end */
  if (size <= 0) return false;
  whole[size - 1] = '/';
  whole[size] = '\0';
  return is_temporary(whole);
}

static bool identify(int fd, const char *path, struct stat *status) {
  if (fd >= 0) return raw_call(SYS_fstat, fd, (long)status, 0, 0, 0, 0) == 0;
  return raw_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)status, AT_SYMLINK_NOFOLLOW, 0, 0) == 0;
}

static void made(int fd, const char *path) {
  struct stat status;
  if (!watches(WATCH_FILES) || self_is_borrowed() || strlen(path) >= PATH_ROOM) return;
  if (!identify(fd, path, &status)) return;
  uint32_t place = atomic_fetch_add_explicit(&files_made, 1, memory_order_relaxed) % FILES;
  struct temporary *file = &files[place];
  strcpy(file->path, path);
  file->device = status.st_dev;
  file->inode = status.st_ino;
  file->fd = (uint32_t)fd;
  file->id = descriptor_is_known(fd) ? descriptors[fd].id : 0;
  file->maker = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
}

/* Its maker needs the file as long as it has it open by any descriptor. */
static void opened_again(int fd) {
  struct stat status;
  if (!watches(WATCH_FILES) || self_is_borrowed() || !descriptor_is_known(fd) || !identify(fd, NULL, &status)) return;
  uint32_t self = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  for (struct temporary *file = files; file < files + FILES; file++) {
    if (file->inode != status.st_ino || file->device != status.st_dev || file->maker != self) continue;
    file->fd = (uint32_t)fd;
    file->id = descriptors[fd].id;
  }
}

/* ---- What is missed, or deleted ---- */

static bool is_open_still(const struct temporary *file) {
  return file->id != 0 && descriptors[file->fd].id == file->id;
}

static void tell(const struct temporary *file, enum deleted what) {
  struct text text = {.size = 0};
  text_add(&text, file->path);
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_DELETED, &text, &stack, file->maker, file->inode, what, is_open_still(file));
}

/* Whether this process has made it, and the path, or a directory above it, is temporary. */
static void look_for_missed(const char *path) {
  uint32_t self = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  for (struct temporary *file = files; file < files + FILES; file++) {
    if (file->inode == 0 || file->maker != self) continue;
    if (strcmp(path, file->path) == 0 || lies_in(path, file->path)) tell(file, DELETED_MISSED);
  }
}

/* Returns the result. */
static int missed(int result, const char *path) {
  if (result != -1 || errno != ENOENT || path == NULL) return result;
  if (!watches(WATCH_FILES) || LIKELY(forks_generation() == 0)) return result;
  if (atomic_load_explicit(&files_made, memory_order_relaxed) == 0) return result;
  look_for_missed(path);
  errno = ENOENT;
  return result;
}

void files_opened(int fd, const char *path, int flags) {
  if (fd == -1)
    missed(-1, path);
  else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) && is_in_temporary(path))
    made(fd, path);
  else if (atomic_load_explicit(&files_made, memory_order_relaxed) != 0)
    opened_again(fd);
}

/* The known file at `path` in `directory`; NULL: none. */
static struct temporary *find(int directory, const char *path) {
  struct stat status;
  if (!watches(WATCH_FILES) || atomic_load_explicit(&files_made, memory_order_relaxed) == 0) return NULL;
  if (self_is_borrowed()) return NULL;
  if (raw_call(SYS_newfstatat, directory, (long)path, (long)&status, AT_SYMLINK_NOFOLLOW, 0, 0) != 0) return NULL;
  for (struct temporary *file = files; file < files + FILES; file++)
    if (file->inode == status.st_ino && file->device == status.st_dev) return file;
  return NULL;
}

static int deleted(struct temporary *file, int result) {
  exits_acts();
  if (file == NULL || result != 0) return result;
  if (file->maker != atomic_load_explicit(&self_get()->number, memory_order_relaxed))
    tell(file, DELETED_DELETED);
  else if (forks_generation() != 0)
    tell(file, DELETED_BY_MAKER);
  file->inode = 0;
  return result;
}

static int deleted_or_missed(struct temporary *file, int result, const char *path) {
  missed(result, path);
  return deleted(file, result);
}

EXPORT int unlink(const char *path) {
  struct temporary *file = find(AT_FDCWD, path);
  return deleted_or_missed(file, CALL(unlink)(path), path);
}

EXPORT int unlinkat(int directory, const char *path, int flags) {
  struct temporary *file = find(directory, path);
  return deleted_or_missed(file, CALL(unlinkat)(directory, path, flags), path);
}

EXPORT int rmdir(const char *path) {
  struct temporary *file = find(AT_FDCWD, path);
  return deleted_or_missed(file, CALL(rmdir)(path), path);
}

EXPORT int remove(const char *path) {
  struct temporary *file = find(AT_FDCWD, path);
  return deleted_or_missed(file, CALL(remove)(path), path);
}

/* With its new name it is no longer a temporary file. */
EXPORT int rename(const char *old, const char *new) {
  struct temporary *file = find(AT_FDCWD, old);
  int result = CALL(rename)(old, new);
  missed(result, old);
  if (result == 0 && file != NULL) file->inode = 0;
  return result;
}

EXPORT int access(const char *path, int mode) {
  return missed(CALL(access)(path, mode), path);
}

EXPORT int stat(const char *restrict path, struct stat *restrict status) {
  return missed(CALL(stat)(path, status), path);
}

EXPORT int lstat(const char *restrict path, struct stat *restrict status) {
  return missed(CALL(lstat)(path, status), path);
}

EXPORT int stat64(const char *restrict path, struct stat64 *restrict status) {
  return missed(CALL(stat64)(path, status), path);
}

EXPORT int lstat64(const char *restrict path, struct stat64 *restrict status) {
  return missed(CALL(lstat64)(path, status), path);
}

EXPORT int fstatat(int directory, const char *restrict path, struct stat *restrict status, int flags) {
  return missed(CALL(fstatat)(directory, path, status, flags), path);
}

EXPORT int fstatat64(int directory, const char *restrict path, struct stat64 *restrict status, int flags) {
  return missed(CALL(fstatat64)(directory, path, status, flags), path);
}

/* ---- Functions that make one ---- */

static int made_file(int fd, const char *path, const void *site) {
  if (fd == -1) return fd;
  descriptor_opened(fd, site);
  made(fd, path);
  return fd;
}

EXPORT int mkstemp(char *path) {
  return made_file(CALL(mkstemp)(path), path, SITE);
}

EXPORT int mkstemp64(char *path) {
  return made_file(CALL(mkstemp64)(path), path, SITE);
}

EXPORT int mkostemp(char *path, int flags) {
  return made_file(CALL(mkostemp)(path, flags), path, SITE);
}

EXPORT int mkostemp64(char *path, int flags) {
  return made_file(CALL(mkostemp64)(path, flags), path, SITE);
}

EXPORT int mkstemps(char *path, int suffix) {
  return made_file(CALL(mkstemps)(path, suffix), path, SITE);
}

EXPORT int mkstemps64(char *path, int suffix) {
  return made_file(CALL(mkstemps64)(path, suffix), path, SITE);
}

EXPORT int mkostemps(char *path, int suffix, int flags) {
  return made_file(CALL(mkostemps)(path, suffix, flags), path, SITE);
}

EXPORT int mkostemps64(char *path, int suffix, int flags) {
  return made_file(CALL(mkostemps64)(path, suffix, flags), path, SITE);
}

EXPORT char *mkdtemp(char *path) {
  char *result = CALL(mkdtemp)(path);
  if (result != NULL) made(-1, path);
  return result;
}

/* Python's tempfile and Ruby's tmpdir use it. */
EXPORT int mkdir(const char *path, mode_t mode) {
  int result = CALL(mkdir)(path, mode);
  if (result == 0 && is_in_temporary(path)) made(-1, path);
  return result;
}

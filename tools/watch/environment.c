/* SPDX-License-Identifier: MIT */
#include "environment.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "raw.h"

static const char preload[] = "LD_PRELOAD=";
static const char log_path[] = "ATFORK_WATCH_LOG=";

/* As this process got them: "LD_PRELOAD=...", "ATFORK_WATCH_LOG=...". */
static char kept[2][4096];
static char library[4096]; /* path of ours */

static void keep(char *where, const char *name, size_t length) {
  const char *value = watch_variable(name);
  if (value == NULL || length + strlen(value) >= sizeof kept[0]) return;
  memcpy(where, name, length - 1);
  where[length - 1] = '=';
  memcpy(where + length, value, strlen(value) + 1);
}

__attribute__((constructor(104))) static void keep_environment(void) {
  keep(kept[0], "LD_PRELOAD", sizeof preload - 1);
  keep(kept[1], "ATFORK_WATCH_LOG", sizeof log_path - 1);
  Dl_info self;
  if (dladdr(kept, &self) != 0 && strlen(self.dli_fname) < sizeof library) strcpy(library, self.dli_fname);
}

static bool begins(const char *string, const char *with) {
  return strncmp(string, with, strlen(with)) == 0;
}

static bool is_known(void) {
  return watch_log != NULL && library[0] != '\0';
}

static size_t count_strings(char *const *strings) {
  size_t count = 0;
  while (strings != NULL && strings[count] != NULL) count++;
  return count;
}

/* Whether the program would be watched with this environment unchanged. */
static bool is_whole(char *const *envp) {
  bool preloads = false, logs = false;
  for (; envp != NULL && *envp != NULL; envp++) {
    preloads |= begins(*envp, preload) && strstr(*envp, library) != NULL;
    logs |= strcmp(*envp, kept[1]) == 0;
  }
  return preloads && logs;
}

/* The program's own LD_PRELOAD comes after our library, in `joined`. */
static void complete(char **full, char *const *envp, char *joined) {
  size_t count = 0;
  char *preloads = kept[0];
  for (; envp != NULL && *envp != NULL; envp++) {
    if (begins(*envp, log_path)) continue;
    if (!begins(*envp, preload)) {
      full[count++] = *envp;
    } else if (strstr(*envp, library) != NULL) {
      preloads = *envp;
    } else {
      stpcpy(stpcpy(stpcpy(stpcpy(joined, preload), library), ":"), *envp + sizeof preload - 1);
      preloads = joined;
    }
  }
  full[count++] = preloads;
  full[count++] = kept[1];
  full[count] = NULL;
}

/* ---- Programs that cannot be watched ---- */

/* With another C library than ours, the program would not start: its loader would not find what our library needs. */
static bool is_foreign(int fd, const ElfW(Phdr) * interpreter) {
  char path[256] = "";
  raw_call(SYS_pread64, fd, (long)path, sizeof path - 1, (long)interpreter->p_offset, 0, 0);
  return strstr(path, "musl") != NULL;
}

/* UNWATCHED_FOREIGN, UNWATCHED_STATIC, or -1: it can be watched. */
static int look_at_segments(int fd, const ElfW(Ehdr) * header) {
  for (unsigned i = 0; i < header->e_phnum; i++) {
    ElfW(Phdr) segment;
    long at = (long)header->e_phoff + (long)i * header->e_phentsize;
    if (raw_call(SYS_pread64, fd, (long)&segment, sizeof segment, at, 0, 0) != (long)sizeof segment) return -1;
    if (segment.p_type == PT_INTERP) return is_foreign(fd, &segment) ? UNWATCHED_FOREIGN : -1;
  }
  return UNWATCHED_STATIC;
}

static int look_at_program(int fd) {
  ElfW(Ehdr) header;
  if (raw_read(fd, &header, sizeof header) != (long)sizeof header) return -1;
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return -1;
  if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)) return UNWATCHED_FOREIGN;
  return look_at_segments(fd, &header);
}

static bool has_capabilities(int fd) {
  return raw_call(SYS_fgetxattr, fd, (long)"security.capability", 0, 0, 0, 0) > 0;
}

/* By system calls, here and below, as the program may define functions with the C library's names. */
static bool is_nosuid(int fd) {
  struct statfs mounted;
  return raw_call(SYS_fstatfs, fd, (long)&mounted, 0, 0, 0, 0) == 0 && (mounted.f_flags & ST_NOSUID) != 0;
}

/* In many containers the kernel ignores the two bits, but the loader still ignores LD_PRELOAD for file capabilities. */
static bool gains_no_ids(void) {
  return raw_call(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0) == 1;
}

/* The kernel compares the effective user with both that the process had. */
static bool is_privileged(int fd) {
  struct stat status;
  if (raw_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) != 0) return false;
  bool nosuid = is_nosuid(fd), sets = !nosuid && !gains_no_ids();
  bool sets_group = sets && (status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0;
  uid_t effective = (uid_t)raw_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
  uid_t user = sets && (status.st_mode & S_ISUID) != 0 ? status.st_uid : effective;
  gid_t group = sets_group ? status.st_gid : (gid_t)raw_call(SYS_getegid, 0, 0, 0, 0, 0, 0);
  return user != effective || user != (uid_t)raw_call(SYS_getuid, 0, 0, 0, 0, 0, 0) ||
         group != (gid_t)raw_call(SYS_getgid, 0, 0, 0, 0, 0, 0) || (!nosuid && user != 0 && has_capabilities(fd));
}

/* Without the capabilities that a user other than root loses by exec, too. */
static long try_access(const char *path, int access) {
  return raw_call(SYS_faccessat, AT_FDCWD, (long)path, access, 0, 0, 0);
}

/* UNWATCHED_FORBIDDEN, UNWATCHED_HIDDEN, or -1: neither is known. */
static int look_for(const char *path, int access) {
  long error = try_access(path, access);
  if (error == -EACCES) return UNWATCHED_FORBIDDEN;
  return error == -ENOENT || error == -ENOTDIR ? UNWATCHED_HIDDEN : -1;
}

/* This process may have lost sight of the files that it is itself watched with. */
static int look_for_ours(void) {
  int found = look_for(library, R_OK);
  return found >= 0 ? found : look_for(kept[1] + sizeof log_path - 1, R_OK | W_OK);
}

/* Of a program that may be executed, but not read, the bits are seen nevertheless. */
static int open_program(const char *path) {
  if (path == NULL || strchr(path, '/') == NULL) return -1;
  int fd = raw_open(path, O_RDONLY | O_CLOEXEC);
  return fd == -EACCES ? raw_open(path, O_PATH | O_CLOEXEC) : fd;
}

bool program_is_watchable(const char *path, enum unwatched *why) {
  int fd = open_program(path);
  if (fd < 0) return true;
  int found = is_privileged(fd) ? UNWATCHED_SETUID : look_at_program(fd);
  raw_close(fd);
  if (found < 0 && is_known()) found = look_for_ours();
  if (found >= 0) *why = (enum unwatched)found;
  return found < 0;
}

/* ---- What a program is given ---- */

enum environment_change environment_change(const char *path, char *const *envp) {
  /* Also without a log: the loader would write an error. */
  if (library[0] != '\0' && try_access(library, R_OK) != 0) return ENVIRONMENT_STRIP;
  if (!is_known()) return ENVIRONMENT_KEEP;
  enum unwatched why;
  if (!program_is_watchable(path, &why) && why == UNWATCHED_FOREIGN) return ENVIRONMENT_STRIP;
  return is_whole(envp) ? ENVIRONMENT_KEEP : ENVIRONMENT_COMPLETE;
}

size_t environment_strings(char *const *envp) {
  return count_strings(envp) + 3;
}

size_t environment_bytes(char *const *envp) {
  size_t size = sizeof preload + sizeof library + 2;
  for (; envp != NULL && *envp != NULL; envp++)
    if (begins(*envp, preload)) size += strlen(*envp);
  return size;
}

/* What else is preloaded stays. */
static char *without_ours(const char *preloads, char *joined) {
  const char *at = strstr(preloads, library), *rest = at + strlen(library);
  size_t before = (size_t)(at - preloads);
  if (before == sizeof preload - 1 && *rest == '\0') return NULL;
  memcpy(joined, preloads, before);
  strcpy(joined + before, *rest == '\0' ? rest : rest + 1); /* with the separator */
  return joined;
}

static void strip(char **full, char *const *envp, char *joined) {
  for (; envp != NULL && *envp != NULL; envp++) {
    if (begins(*envp, log_path)) continue;
    bool ours = begins(*envp, preload) && strstr(*envp, library) != NULL;
    char *kept_one = ours ? without_ours(*envp, joined) : *envp;
    if (kept_one != NULL) *full++ = kept_one;
  }
  *full = NULL;
}

void environment_make(enum environment_change change, char **full, char *const *envp, char *joined) {
  if (change == ENVIRONMENT_STRIP)
    strip(full, envp, joined);
  else
    complete(full, envp, joined);
}

static const char *search_path(void) {
  for (char **at = environ; at != NULL && *at != NULL; at++)
    if (begins(*at, "PATH=")) return *at + sizeof "PATH=" - 1;
  return NULL;
}

/* The file that execvp() finds in PATH, or the name itself. */
const char *environment_search(const char *file, char *buffer, size_t size) {
  const char *path = strchr(file, '/') == NULL ? search_path() : NULL;
  while (path != NULL && *path != '\0') {
    size_t length = strcspn(path, ":");
    if (length != 0 && length + 1 + strlen(file) < size) {
      memcpy(buffer, path, length);
      buffer[length] = '/';
      strcpy(buffer + length + 1, file);
      if (raw_call(SYS_faccessat, AT_FDCWD, (long)buffer, X_OK, 0, 0, 0) == 0) return buffer;
    }
    path += length + (path[length] == ':');
  }
  return file;
}

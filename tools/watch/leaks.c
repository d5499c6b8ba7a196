/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that stay open past exec, although they are not meant for the new program.
 *
 * Meant for it are descriptors set up between the fork and exec, by dup2() to a chosen number or by clearing
 * FD_CLOEXEC; those that are also one of its standard streams; and those whose number it gets as an argument or in the
 * environment.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "descriptors.h"
#include "raw.h"

struct spawn {
  const char *path;
  char *const *argv, *const *envp;
  const posix_spawn_file_actions_t *actions; /* NULL: none */
  bool forked;                               /* the caller is the child */
};

/* ---- What the new program is told ---- */

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool tells_number(const char *text, long number) {
  for (const char *at = text; *at != '\0';) {
    if (!is_digit(*at)) {
      at++;
      continue;
    }
    char *end;
    long found = strtol(at, &end, 10);
    if (found == number && (at == text || !is_digit(at[-1]))) return true;
    at = end;
  }
  return false;
}

/* As systemd passes sockets: from 3 on. */
static bool tells_count(const char *variable, int fd) {
  static const char name[] = "LISTEN_FDS=";
  return strncmp(variable, name, sizeof name - 1) == 0 && fd - 3 < strtol(variable + sizeof name - 1, NULL, 10);
}

/* The program was started with this variable, so it does not name descriptors opened since. */
static bool is_old(const char *variable) {
  size_t length = strcspn(variable, "=");
  char name[64];
  if (length >= sizeof name) return false;
  memcpy(name, variable, length);
  name[length] = '\0';
  const char *value = watch_variable(name);
  return value != NULL && strcmp(value, variable + length + 1) == 0;
}

static bool is_ours(const char *variable) {
  return strncmp(variable, "LD_PRELOAD=", 11) == 0 || strncmp(variable, "ATFORK_", 7) == 0;
}

static bool is_told(const struct spawn *spawn, int fd) {
  char *const *arguments = spawn->argv == NULL || *spawn->argv == NULL ? NULL : spawn->argv + 1; /* behind its name */
  for (char *const *at = arguments; at != NULL && *at != NULL; at++)
    if (tells_number(*at, fd)) return true;
  for (char *const *at = spawn->envp; at != NULL && *at != NULL; at++) {
    const char *value = strchr(*at, '=');
    if (value == NULL || is_ours(*at) || is_old(*at)) continue;
    if (tells_number(value, fd) || tells_count(*at, fd)) return true;
  }
  return false;
}

/* ---- What is set up for it ---- */

/* The layout of the C library's actions, which no header shows. */
struct action {
  enum { DO_CLOSE, DO_DUP2, DO_OPEN, DO_CHDIR, DO_FCHDIR, DO_CLOSEFROM } tag;
  union {
    int fd;
    struct {
      int from, to;
    } dup2;
    struct {
      int fd;
      char *path;
      int flags;
      mode_t mode;
    } open;
  } what;
};

static bool acts_on(const struct action *action, int fd) {
  switch (action->tag) {
    case DO_DUP2:
      return action->what.dup2.to == fd;
    case DO_CLOSEFROM:
      return fd >= action->what.fd;
    case DO_CLOSE:
    case DO_OPEN:
      return action->what.fd == fd;
    default:
      return false;
  }
}

static bool has_action(const struct spawn *spawn, int fd) {
  if (spawn->actions == NULL) return false;
  const struct action *actions = (const struct action *)(const void *)spawn->actions->__actions;
  for (int i = 0; i < spawn->actions->__used; i++)
    if (acts_on(&actions[i], fd)) return true;
  return false;
}

static bool is_set_up(const struct spawn *spawn, int fd) {
  if (!spawn->forked) return has_action(spawn, fd);
  if (self_is_borrowed()) return descriptor_is_set_up(fd);
  return descriptors[fd].made_by == atomic_load_explicit(&self_page->number, memory_order_relaxed);
}

/* ---- What it is ---- */

static bool matters(enum descriptor_kind kind, int flags) {
  if (kind == DESCRIPTOR_FILE || kind == DESCRIPTOR_LOG) return (flags & O_ACCMODE) != O_RDONLY;
  return kind != DESCRIPTOR_OTHER && kind != DESCRIPTOR_DIRECTORY;
}

static bool is_standard(const struct stat *status, int flags) {
  for (int fd = 0; fd < 3; fd++) {
    struct stat standard;
    int standard_flags;
    descriptor_kind(fd, &standard, &standard_flags);
    if (standard.st_dev == status->st_dev && standard.st_ino == status->st_ino && standard.st_ino != 0 &&
        (standard_flags & O_ACCMODE) == (flags & O_ACCMODE))
      return true;
  }
  return false;
}

/* ---- Shells: what a script opens, is for the programs that it calls ---- */

static bool shell;

__attribute__((constructor(105))) static void learn_shell(void) {
  static const char *const shells[] = {"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox", "fish"};
  char path[256];
  modules_program(path, sizeof path);
  const char *name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
  for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) shell |= strcmp(name, shells[i]) == 0;
}

/* ---- All of them ---- */

static void tell(const struct spawn *spawn, int fd, enum descriptor_kind kind) {
  struct text text = {.size = 0};
  text_add(&text, spawn->path);
  char name[RECORD_TEXT / 2];
  descriptor_name(fd, name, sizeof name);
  text_add(&text, name);
  struct stack site = {.frames = {(uint64_t)(uintptr_t)descriptors[fd].site - 1}, .count = 1};
  LOG(RECORD_LEAKED, &text, &site, (uint64_t)fd, kind, spawn->forked);
}

static void look_at(const struct spawn *spawn, int fd) {
  long own = raw_call(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0);
  if (own < 0 || (own & FD_CLOEXEC) != 0 || is_set_up(spawn, fd)) return;
  struct stat status;
  int flags;
  enum descriptor_kind kind = descriptor_kind(fd, &status, &flags);
  if (!matters(kind, flags) || is_standard(&status, flags) || is_told(spawn, fd)) return;
  tell(spawn, fd, kind);
}

static void look_at_all(const struct spawn *spawn) {
  if (shell || (spawn->forked && descriptors_are_swept())) return;
  for (int fd = 3; fd <= descriptors_highest; fd++)
    if (descriptors[fd].site != NULL) look_at(spawn, fd);
}

void descriptors_before_exec(const char *path, char *const *argv, char *const *envp) {
  if (watches(WATCH_DESCRIPTORS)) look_at_all(&(struct spawn){path, argv, envp, NULL, true});
}

void descriptors_before_spawn(const char *path, char *const *argv, char *const *envp,
                              const posix_spawn_file_actions_t *actions) {
  int saved = errno;
  exits_acts();
  if (watches(WATCH_DESCRIPTORS)) look_at_all(&(struct spawn){path, argv, envp, actions, false});
  errno = saved;
}

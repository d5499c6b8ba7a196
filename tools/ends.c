/* SPDX-License-Identifier: MIT */
#include "ends.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Since Linux 6.15: the status of a process that another process has already waited for. */
struct pidfd_info {
  uint64_t mask, cgroup;
  uint32_t pid, tgid, ppid, ids[8];
  int32_t exit_code;
};
enum { PIDFD_INFO_HAS_EXIT = 1 << 3 };
#define PIDFD_INFO _IOWR(0xFF, 11, struct pidfd_info)

struct watched {
  struct process *process;
  int fd;        /* of the process; -1: it could not be opened */
  gboolean gone; /* it had ended at the last look, and its records have been read since */
};

struct ends {
  struct model *model;
  guint entered; /* how many processes of the model are watched, or were */
  GArray *watched;
};

struct ends *ends_new(struct model *model) {
  struct rlimit files;
  struct ends *ends = g_new0(struct ends, 1);
  ends->model = model;
  ends->watched = g_array_new(FALSE, FALSE, sizeof(struct watched));
  /* The command runs already, with the limit that it is to have. */
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  return ends;
}

void ends_free(struct ends *ends) {
  for (guint i = 0; i < ends->watched->len; i++) {
    int fd = g_array_index(ends->watched, struct watched, i).fd;
    if (fd >= 0) close(fd);
  }
  g_array_unref(ends->watched);
  g_free(ends);
}

static void enter_new(struct ends *ends) {
  for (; ends->entered < ends->model->processes->len; ends->entered++) {
    struct process *process = g_ptr_array_index(ends->model->processes, ends->entered);
    if (process->ending != ENDING_NONE || process_has_own_pids(process)) continue;
    struct watched watched = {process, (int)syscall(SYS_pidfd_open, process->pid, 0), FALSE};
    g_array_append_val(ends->watched, watched);
  }
}

static gboolean is_gone(const struct watched *watched) {
  struct pollfd poll_fd = {.fd = watched->fd, .events = POLLIN};
  if (watched->fd < 0) return kill(watched->process->pid, 0) != 0 && errno == ESRCH;
  return poll(&poll_fd, 1, 0) > 0;
}

/* The last field of a zombie's /proc/PID/stat, which is 0 where we may not read it. */
static int zombie_status(pid_t pid) {
  char path[64];
  struct stat owner;
  g_autofree char *text = NULL;
  g_snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (!g_file_get_contents(path, &text, NULL, NULL) || stat(path, &owner) != 0) return -1;
  const char *state = strrchr(text, ')');
  if (state == NULL || state[1] == '\0' || state[2] != 'Z') return -1;
  int status = (int)g_ascii_strtoll(strrchr(text, ' '), NULL, 10);
  return status != 0 || geteuid() == 0 || owner.st_uid == geteuid() ? status : -1;
}

static int status_of(const struct watched *watched) {
  struct pidfd_info info = {.mask = PIDFD_INFO_HAS_EXIT};
  if (watched->fd >= 0 && ioctl(watched->fd, PIDFD_INFO, &info) == 0 && (info.mask & PIDFD_INFO_HAS_EXIT) != 0)
    return info.exit_code;
  return zombie_status(watched->process->pid);
}

/* TRUE: it need not be looked at any more. */
static gboolean look(struct ends *ends, struct watched *watched) {
  gboolean was_gone = watched->gone;
  if (watched->process->end != 0 && watched->process->ending == ENDING_SIGNALED) return TRUE;
  watched->gone = is_gone(watched);
  if (!watched->gone || !was_gone) return FALSE;
  int status = watched->process->ending == ENDING_NONE ? status_of(watched) : -1;
  model_end(ends->model, watched->process, (guint64)g_get_monotonic_time() * 1000, status);
  return TRUE;
}

guint ends_look(struct ends *ends) {
  enter_new(ends);
  for (guint i = ends->watched->len; i > 0; i--) {
    struct watched *watched = &g_array_index(ends->watched, struct watched, i - 1);
    if (!look(ends, watched)) continue;
    if (watched->fd >= 0) close(watched->fd);
    g_array_remove_index_fast(ends->watched, i - 1);
  }
  return ends->watched->len;
}

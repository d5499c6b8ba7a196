/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "library.h"
#include "raw.h"

struct descriptor descriptors[DESCRIPTORS];
int descriptors_highest;
int descriptors_given;
_Atomic int descriptors_locked;

/* ---- A child of vfork() ---- */

static _Thread_local struct borrowed {
  uint64_t over; /* id of the last vfork() that has returned */
  uint64_t child;
  bool swept;
  uint64_t set_up[DESCRIPTORS / 64 / 64]; /* the first numbers of the child */
} borrowed __attribute__((tls_model("initial-exec")));

static bool is_borrowed(void) {
  uint64_t last = fork_under_way.vfork;
  if (LIKELY(last == borrowed.over)) return false;
  if (self_is_borrowed()) return true;
  borrowed.over = last;
  return false;
}

static void begin_child(void) {
  if (borrowed.child == fork_under_way.vfork) return;
  memset(&borrowed.set_up, 0, sizeof borrowed.set_up);
  borrowed.swept = false;
  borrowed.child = fork_under_way.vfork;
}

static void set_up(int fd) {
  begin_child();
  if ((size_t)fd < 64 * sizeof borrowed.set_up / sizeof borrowed.set_up[0])
    borrowed.set_up[fd / 64] |= 1ULL << (fd % 64);
}

bool descriptor_is_set_up(int fd) {
  if (borrowed.child != fork_under_way.vfork) return false;
  if ((size_t)fd >= 64 * sizeof borrowed.set_up / sizeof borrowed.set_up[0]) return true;
  return (borrowed.set_up[fd / 64] >> (fd % 64) & 1) != 0;
}

static uint32_t swept_by; /* number of the process; 0: none */

void descriptors_swept(void) {
  if (!watches(WATCH_DESCRIPTORS)) return;
  if (!is_borrowed()) {
    swept_by = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
    return;
  }
  begin_child();
  borrowed.swept = true;
}

bool descriptors_are_swept(void) {
  if (is_borrowed()) return borrowed.child == fork_under_way.vfork && borrowed.swept;
  return swept_by == atomic_load_explicit(&self_get()->number, memory_order_relaxed);
}

/* ---- What is open ---- */

/* If a program uses a descriptor that was open when it was started, this was intended.  So such a use is recorded even
 * before any fork. */
__attribute__((constructor(106))) static void count_given(void) {
  enum { LOOKED_AT = 256 };
  if (!watches(WATCH_DESCRIPTORS)) return;
  for (int fd = 0; fd < LOOKED_AT; fd++) {
    descriptors[fd].given = fd < 3 || raw_call(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) >= 0;
    descriptors_given += fd >= 3 && descriptors[fd].given;
  }
}

static uint32_t serial;

static bool is_followed(int fd) {
  if (!watches(WATCH_DESCRIPTORS) || !descriptor_is_known(fd)) return false;
  if (!is_borrowed()) return true;
  set_up(fd);
  return false;
}

/* The descriptor is new in this process, so no use is recorded before the next fork. */
static void enter(int fd, const void *site, bool semaphore) {
  struct descriptor *descriptor = &descriptors[fd];
  uint32_t number = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  descriptor->id = (uint64_t)number << 32 | ++serial;
  descriptor->made_by = number;
  descriptor->site = site;
  descriptor->semaphore = semaphore;
  if (fd > descriptors_highest) descriptors_highest = fd;
  atomic_store_explicit(&descriptor->noted, forks_generation() << 8 | 0xff, memory_order_relaxed);
}

int descriptor_opened(int fd, const void *site) {
  if (is_followed(fd)) enter(fd, site, false);
  return fd;
}

/* The next descriptor with this number is another one, whether its opening is seen or not. */
void descriptor_closing(int fd) {
  if (!is_followed(fd)) return;
  if (descriptors[fd].id == 0 && raw_call(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) < 0) return; /* none is there */
  enter(fd, NULL, false);
}

static uint64_t id_of(int fd) {
  uint64_t id = descriptors[fd].id;
  uint32_t kind = descriptors[fd].given ? DESCRIPTOR_GIVEN : DESCRIPTOR_UNSEEN;
  return id != 0 ? id : (uint64_t)self_loaded << 32 | kind | (uint32_t)fd;
}

int descriptor_copied(int old, int fd, const void *site, bool asked_for) {
  if (old == fd || !descriptor_is_known(old) || !is_followed(fd)) return fd;
  descriptor_used(old, USE_OTHER);
  struct descriptor *descriptor = &descriptors[fd];
  descriptor->id = id_of(old);
  descriptor->made_by = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  descriptor->site = asked_for || descriptors[old].site == NULL ? NULL : site;
  descriptor->semaphore = descriptors[old].semaphore;
  if (fd > descriptors_highest) descriptors_highest = fd;
  atomic_store_explicit(&descriptor->noted, atomic_load_explicit(&descriptors[old].noted, memory_order_relaxed),
                        memory_order_relaxed);
  return fd;
}

void descriptor_given(int fd) {
  if (is_followed(fd) && descriptors[fd].site != NULL) descriptors[fd].site = NULL;
}

/* ---- What it is ---- */

static int socket_option(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  raw_call(SYS_getsockopt, fd, SOL_SOCKET, option, (long)&value, (long)&size, 0);
  return value;
}

static enum descriptor_kind kind_of_socket(int fd) {
  if (socket_option(fd, SO_ACCEPTCONN) == 1) return DESCRIPTOR_LISTENER;
  int type = socket_option(fd, SO_TYPE);
  if (type == SOCK_SEQPACKET) return DESCRIPTOR_PACKETS;
  if (type != SOCK_STREAM) return DESCRIPTOR_DATAGRAMS;
  return socket_option(fd, SO_DOMAIN) == AF_UNIX ? DESCRIPTOR_LOCAL_STREAM : DESCRIPTOR_STREAM;
}

/* Into `path`, which has room for any number. */
static void path_of(int fd, char *path) {
  static const char prefix[] = "/proc/self/fd/";
  char digits[12];
  unsigned count = 0;
  for (unsigned rest = (unsigned)fd; count == 0 || rest != 0; rest /= 10) digits[count++] = (char)('0' + rest % 10);
  memcpy(path, prefix, sizeof prefix - 1);
  path += sizeof prefix - 1;
  while (count > 0) *path++ = digits[--count];
  *path = '\0';
}

void descriptor_name(int fd, char *name, size_t size) {
  char path[32];
  path_of(fd, path);
  long length = raw_readlink(path, name, size - 1);
  name[length < 0 ? 0 : length] = '\0';
}

static enum descriptor_kind kind_of_anonymous(int fd) {
  static const struct {
    const char *name;
    enum descriptor_kind kind;
  } kinds[] = {
      {"[eventpoll]", DESCRIPTOR_EPOLL}, {"[eventfd]", DESCRIPTOR_EVENT},     {"[timerfd]", DESCRIPTOR_TIMER},
      {"inotify", DESCRIPTOR_INOTIFY},   {"[io_uring]", DESCRIPTOR_IO_URING},
  };
  char name[64];
  descriptor_name(fd, name, sizeof name);
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strstr(name, kinds[i].name) != NULL) return kinds[i].kind;
  return DESCRIPTOR_OTHER;
}

enum descriptor_kind descriptor_kind(int fd, struct stat *status, int *flags) {
  long told = raw_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
  *flags = told < 0 ? 0 : (int)told;
  memset(status, 0, sizeof *status);
  if (raw_call(SYS_fstat, fd, (long)status, 0, 0, 0, 0) < 0) return DESCRIPTOR_OTHER;
  switch (status->st_mode & S_IFMT) {
    case S_IFREG:
      return (*flags & O_APPEND) != 0 ? DESCRIPTOR_LOG : DESCRIPTOR_FILE;
    case S_IFDIR:
      return DESCRIPTOR_DIRECTORY;
    case S_IFIFO:
      return DESCRIPTOR_PIPE;
    case S_IFSOCK:
      return kind_of_socket(fd);
    case 0:
      if (descriptors[fd].semaphore) return DESCRIPTOR_SEMAPHORE;
      return kind_of_anonymous(fd);
    default:
      return DESCRIPTOR_OTHER;
  }
}

/* ---- What it is used for ---- */

/* Recorded again after the next fork. */
static void note(struct descriptor *descriptor, enum use use) {
  uint32_t generation = forks_generation() & 0xffffff;
  uint32_t noted = atomic_load_explicit(&descriptor->noted, memory_order_relaxed);
  noted = noted >> 8 == generation ? noted | use : generation << 8 | use;
  atomic_store_explicit(&descriptor->noted, noted, memory_order_relaxed);
}

void descriptor_tell(int fd, enum use use) {
  if (!watches(WATCH_DESCRIPTORS) || library_depth != 0 || is_borrowed()) return;
  self_get();
  struct descriptor *descriptor = &descriptors[fd];
  note(descriptor, use);
  if (forks_generation() == 0 && (descriptor->id != 0 || !descriptor->given || fd < 3)) return;
  uint64_t id = id_of(fd);
  struct stat status;
  int flags;
  enum descriptor_kind kind = descriptor_kind(fd, &status, &flags);
  if (kind == DESCRIPTOR_OTHER) return;
  char name[RECORD_TEXT / 2];
  descriptor_name(fd, name, sizeof name);
  struct text text = {.size = 0};
  text_add(&text, name);
  struct stack stack;
  stack_take(&stack);
  bool guarded = atomic_load_explicit(&descriptors_locked, memory_order_relaxed) > 0 || locks_hold_shared();
  LOG(RECORD_DESCRIPTOR, &text, &stack, id, (uint64_t)fd, kind, use, status.st_dev, status.st_ino, guarded);
}

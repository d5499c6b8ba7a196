/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* MADV_WIPEONFORK, secure_getenv(), syscall() */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sha256.h"

/* As in <linux/futex.h>, which only the system's own C library brings along. */
enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

enum { NO_ADVICE = -1 };

enum { HUGE_PAGE = 2 << 20, PLAIN_YIELDS = 16, LONGEST_NAP = 1000000 /* ns */, LONGEST_SLEEP = 50000000 /* ns */ };

static void *map_as(int flags, size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static void *map(size_t size) {
  return map_as(MAP_PRIVATE, size);
}

/*
 * Asks for huge pages.  A fork copies an entry for each page, and a child has a fault at the first access to each: with
 * small pages both cost more than the callbacks of the hooks that lie there.
 */
static void *map_huge(size_t size) {
  char *memory = map(size + HUGE_PAGE);
  if (memory == NULL) return NULL;
  size_t before = (size_t)(-(uintptr_t)memory) % HUGE_PAGE;
  if (before > 0) munmap(memory, before);
  munmap(memory + before + size, HUGE_PAGE - before);
  madvise(memory + before, size, MADV_HUGEPAGE);
  return memory + before;
}

void *atfork_os_map(size_t size) {
  return size < HUGE_PAGE ? map(size) : map_huge(size);
}

void *atfork_os_map_shared(size_t size) {
  return map_as(MAP_SHARED, size);
}

void atfork_os_unmap(void *memory, size_t size) {
  munmap(memory, size);
}

size_t atfork_os_page_size(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

size_t atfork_os_map_size(size_t size) {
  size_t unit = size > HUGE_PAGE / 8 ? HUGE_PAGE : atfork_os_page_size();
  return (size + unit - 1) / unit * unit;
}

/*
 * A kernel refuses advice that it does not know.  qemu-user ignores all advice and returns 0.  So if NO_ADVICE is
 * accepted, a 0 for MADV_WIPEONFORK means nothing.
 */
bool atfork_os_wipe_on_fork(void *pages, size_t size) {
  int error = errno;
  bool wiped = madvise(pages, size, NO_ADVICE) != 0 && madvise(pages, size, MADV_WIPEONFORK) == 0;
  errno = error;
  return wiped;
}

int atfork_os_handle_forks(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  int error = pthread_atfork(prepare, parent, child);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

/* Part of the Itanium C++ ABI; no C header declares it. */
int __cxa_atexit(void (*function)(void *argument), void *argument, void *dso) __attribute__((visibility("default")));

int atfork_os_at_unload(void (*function)(void *argument), void *argument, void *dso) {
  if (__cxa_atexit(function, argument, dso) == 0) return 0;
  errno = ENOMEM;
  return -1;
}

/*
 * A 32-bit system has two futex calls, for a time_t of 64 and of 32 bits, and the C library's `struct timespec` may fit
 * either.  Kernels before 5.1 lack the first call, and newer kernels may be built without the second.
 */
#ifdef SYS_futex_time64
#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif
static bool futex_wait(_Atomic uint32_t *at, uint32_t value) {
  const int64_t longest[] = {0, LONGEST_SLEEP};
  const long longest_of_old[] = {0, LONGEST_SLEEP};
  if (syscall(SYS_futex_time64, at, FUTEX_WAIT_PRIVATE, value, longest, NULL, 0) == 0) return true;
  return errno == ENOSYS && syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, value, longest_of_old, NULL, 0) == 0;
}

/* A wake has no time argument; but a kernel that is built without the second call lacks it for wakes, too. */
static void futex_wake(_Atomic uint32_t *at) {
  if (syscall(SYS_futex_time64, at, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0) >= 0 || errno != ENOSYS) return;
  syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
#else
static bool futex_wait(_Atomic uint32_t *at, uint32_t value) {
  const struct timespec longest = {.tv_nsec = LONGEST_SLEEP};
  return syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, value, &longest, NULL, 0) == 0;
}

static void futex_wake(_Atomic uint32_t *at) {
  syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
#endif

/*
 * The functions from here on keep errno.  And they are no cancellation points, as they are called in the middle of
 * updates and of waits, which no other thread could complete.
 */
struct kept {
  int error, cancelling;
};

static struct kept keep(void) {
  struct kept kept = {.error = errno};
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &kept.cancelling);
  return kept;
}

static void restore(struct kept kept) {
  pthread_setcancelstate(kept.cancelling, NULL);
  errno = kept.error;
}

/* If a sandbox forbids sleeping, other threads at least get to run. */
static void nap(long ns) {
  if (nanosleep(&(struct timespec){.tv_nsec = ns}, NULL) != 0) sched_yield();
}

/* If a sandbox forbids futexes, it naps: otherwise the caller would busy-wait. */
void atfork_os_wait(_Atomic uint32_t *at, uint32_t value) {
  struct kept kept = keep();
  if (!futex_wait(at, value) && errno != EAGAIN && errno != ETIMEDOUT && errno != EINTR) nap(LONGEST_NAP);
  restore(kept);
}

void atfork_os_wake_all(_Atomic uint32_t *at) {
  int error = errno;
  futex_wake(at);
  errno = error;
}

void atfork_os_back_off(unsigned attempt) {
  struct kept kept = keep();
  if (attempt < PLAIN_YIELDS) {
    sched_yield();
  } else {
    unsigned doublings = attempt - PLAIN_YIELDS;
    nap(doublings < 10 ? 1000L << doublings : LONGEST_NAP);
  }
  restore(kept);
}

const char *atfork_os_environment(const char *name) {
  return secure_getenv(name);
}

void atfork_os_forget(const char *name) {
  unsetenv(name);
}

uint64_t atfork_os_process(void) {
  return (uint64_t)getpid();
}

/*
 * If getrandom() fails: a hash of the bytes that the kernel gave the program at its start (AT_RANDOM), the time and the
 * pid, as forked processes have the same bytes.  The hash is one-way, as the number is shown to people, and the C
 * library takes its stack guard from these bytes.
 */
static uint64_t random_enough(void) {
  enum { GIVEN = 16 };
  struct timespec now;
  uint8_t from[GIVEN + 3 * sizeof(uint64_t)], digest[SHA256_SIZE];
  memcpy(from, (const void *)(uintptr_t)getauxval(AT_RANDOM), GIVEN);
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t when[] = {(uint64_t)now.tv_sec, (uint64_t)now.tv_nsec, atfork_os_process()};
  memcpy(from + GIVEN, when, sizeof when);
  atfork_sha256(digest, from, sizeof from);
  uint64_t number;
  memcpy(&number, digest, sizeof number);
  return number;
}

uint64_t atfork_os_random(void) {
  uint64_t number;
  int error = errno;
  if (syscall(SYS_getrandom, &number, sizeof number, GRND_NONBLOCK) != sizeof number) number = random_enough();
  errno = error;
  return number;
}

/* /proc/PID/stat: "PID (NAME) STATE PARENT GROUP SESSION TERMINAL GROUP FLAGS ...".  NAME may contain any text. */
struct status {
  char text[256];
  const char *name; /* in the text */
  unsigned process, parent, flags;
};

static bool read_status(const char *path, struct status *status) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t length = read(file, status->text, sizeof status->text - 1);
  close(file);
  if (length < 0) return false;
  status->text[length] = '\0';
  char *end = strrchr(status->text, ')');
  if (end == NULL) return false;
  *end = '\0';
  status->name = strchr(status->text, '(');
  status->process = (unsigned)strtoul(status->text, NULL, 10);
  return sscanf(end + 1, " %*c %u %*d %*d %*d %*d %u", &status->parent, &status->flags) == 2;
}

/* Process 1 adopts processes whose parents have ended.  Only its name may be read. */
static bool is_adopted_by_first(const struct status *own) {
  struct status first;
  return own->parent == 1 && read_status("/proc/1/stat", &first) && strcmp(own->name, first.name) != 0;
}

/* If this process has given up its rights, it may not look at its parent: then the parent counts as the same program.
 */
static bool runs_our_program(const struct status *own) {
  char path[32];
  struct stat file, parents;
  snprintf(path, sizeof path, "/proc/%u/exe", own->parent);
  if (stat("/proc/self/exe", &file) != 0) return false;
  if (stat(path, &parents) != 0) return errno == EACCES && !is_adopted_by_first(own);
  return file.st_dev == parents.st_dev && file.st_ino == parents.st_ino;
}

bool atfork_os_is_forked_by_alike(void) {
  enum { FORKED_BUT_NOT_EXECUTED = 0x40 }; /* the kernel's PF_FORKNOEXEC, which proc(5) leaves to <linux/sched.h> */
  struct kept kept = keep();
  struct status own;
  bool is =
      read_status("/proc/self/stat", &own) && (own.flags & FORKED_BUT_NOT_EXECUTED) != 0 && runs_our_program(&own);
  restore(kept);
  return is;
}

/* A zombie exists, too, and another user's process, of which a security module may let this one learn nothing else. */
static bool exists(uint64_t process) {
  return getpgid((pid_t)process) != -1 || errno != ESRCH;
}

/* False: /proc cannot be read, or is that of another pid namespace, where processes have other numbers; or an emulator
 * makes up the file, and leaves the parent out. */
static bool read_own_status(struct status *own, uint64_t parent) {
  return read_status("/proc/self/stat", own) && own->process == atfork_os_process() && own->parent == parent;
}

/* Whether `process` is above the parent of this process.  If /proc does not tell, any process that exists is taken for
 * one: this is the safe error, as a child that is named by its pid shares its lineage with no process. */
static bool is_above(uint64_t process, uint64_t parent) {
  struct status status;
  char path[32];
  bool is_read = read_own_status(&status, parent);
  while (is_read && status.parent != 0 && status.parent != process) {
    snprintf(path, sizeof path, "/proc/%u/stat", status.parent);
    is_read = read_status(path, &status);
  }
  return is_read ? status.parent == process : exists(process);
}

/*
 * If the parent has ended, this process has got another one, which does not descend from `process`.  Whether `process`
 * has ended is not asked: the kernel answers this late, by a moment, for one that ends.  Looks again if the parent ends
 * meanwhile.  For a parent in another pid namespace getppid() is 0, and `process` is a pid of that namespace.
 */
bool atfork_os_may_be_child_of(uint64_t process) {
  enum { NAMELESS = 0 };
  struct kept kept = keep();
  uint64_t parent;
  bool may_be;
  do {
    parent = (uint64_t)getppid();
    may_be = parent == NAMELESS || parent == process || !is_above(process, parent);
  } while ((uint64_t)getppid() != parent);
  restore(kept);
  return may_be;
}

bool atfork_os_is_set(const char *name) {
  const char *value = atfork_os_environment(name);
  return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

uint64_t atfork_os_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + 1;
}

uint64_t atfork_os_thread(void) {
  return (uint64_t)syscall(SYS_gettid);
}

/* Uses the clock that can be set, as sanitizers do not know pthread_mutex_clocklock(). */
int atfork_os_mutex_lock_for(void *mutex, unsigned ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += (long)ms * 1000000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  return pthread_mutex_timedlock(mutex, &until);
}

/* A directory has 2 links, and one more for each directory in it; here each thread has a directory. */
bool atfork_os_is_single_threaded(void) {
  struct stat tasks;
  return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3;
}

/* An error is ignored: stderr may be closed. */
void atfork_os_say(const char *text, size_t length) {
  struct kept kept = keep();
  ssize_t written = write(STDERR_FILENO, text, length);
  (void)written;
  restore(kept);
}

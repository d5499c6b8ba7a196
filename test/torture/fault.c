/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "real_mmap.h"

/* ---- Which request fails ---- */

static _Atomic bool armed;
static _Atomic int requests;
static int first_refused, last_refused;

enum { NOTED = 8 };
static const char *_Atomic refused[NOTED];

void fault_arm(int first, int many) {
  first_refused = first;
  last_refused = many > INT_MAX - first ? INT_MAX : first + many - 1;
  for (int i = 0; i < NOTED; i++) refused[i] = NULL;
  requests = 0;
  armed = true;
}

int fault_disarm(void) {
  armed = false;
  return requests;
}

bool fault_has_refused(const char *function) {
  for (int i = 0; i < NOTED; i++)
    if (refused[i] != NULL && strcmp(refused[i], function) == 0) return true;
  return false;
}

bool fault_is_refused(const char *function, int error) {
  if (!armed) return false;
  int number = atomic_fetch_add(&requests, 1) + 1;
  if (number < first_refused || number > last_refused) return false;
  if (number - first_refused < NOTED) refused[number - first_refused] = function;
  errno = error;
  return true;
}

/* ---- Memory ---- */

static _Atomic long blocks, mapped, handlers;

struct held_things fault_held(void) {
  return (struct held_things){blocks, mapped, handlers};
}

long fault_blocks(void) {
  return blocks;
}

static void *count_block(void *block) {
  if (block != NULL) blocks++;
  return block;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
  return fault_is_refused("malloc", ENOMEM) ? NULL : count_block(__real_malloc(size));
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
  return fault_is_refused("calloc", ENOMEM) ? NULL : count_block(__real_calloc(count, size));
}

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size) {
  if (fault_is_refused("realloc", ENOMEM)) return NULL;
  void *moved = __real_realloc(block, size);
  return block == NULL ? count_block(moved) : moved;
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  return fault_is_refused("aligned_alloc", ENOMEM) ? NULL : count_block(__real_aligned_alloc(alignment, size));
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
  return fault_is_refused("strdup", ENOMEM) ? NULL : count_block(__real_strdup(text));
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block) {
  if (block != NULL) blocks--;
  __real_free(block);
}

int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size) {
  mapped -= (long)size;
  return __real_munmap(at, size);
}

/* Where a huge page can begin, or just behind that, so that it is not left to chance. */
enum { HUGE_PAGE = 2 << 20 };
bool fault_maps_aligned;

static void *align(void *memory, size_t size) {
  if (memory == MAP_FAILED) return memory;
  char *begin = memory, *end = begin + size + HUGE_PAGE;
  char *aligned = begin + (-(uintptr_t)begin) % HUGE_PAGE;
  if (!fault_maps_aligned) aligned = begin + (aligned == begin ? sysconf(_SC_PAGESIZE) : 0);
  if (aligned > begin) __real_munmap(begin, (size_t)(aligned - begin));
  if (end > aligned + size) __real_munmap(aligned + size, (size_t)(end - aligned) - size);
  return aligned;
}

/* By either name, as the size of off_t has it; newer musls have but one. */
#define WRAP_MMAP(name)                                                                                                \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);                       \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) {                      \
    if (fault_is_refused("mmap", ENOMEM)) return MAP_FAILED;                                                           \
    void *memory = size <= HUGE_PAGE                                                                                   \
                       ? __real_mmap(at, size, protection, flags, file, (real_offset)offset)                           \
                       : align(__real_mmap(at, size + HUGE_PAGE, protection, flags, file, (real_offset)offset), size); \
    if (memory != MAP_FAILED) mapped += (long)size;                                                                    \
    return memory;                                                                                                     \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

/* A kernel that cannot wipe pages at fork says so; an emulator takes any advice, and follows none. */
#ifdef FAULT_UNWIPED
enum { UNWIPED = 1, UNHEEDED = 0 };
#elif defined(FAULT_UNHEEDED)
enum { UNWIPED = 0, UNHEEDED = 1 };
#else
enum { UNWIPED = 0, UNHEEDED = 0 };
#endif

int __real_madvise(void *pages, size_t size, int advice);
int __wrap_madvise(void *pages, size_t size, int advice);
int __wrap_madvise(void *pages, size_t size, int advice) {
  if (UNHEEDED) return 0;
  if (advice != -1 && fault_is_refused("madvise", EINVAL))
    return -1; /* who takes that one is an emulator, and stays one */
  return __real_madvise(pages, size, UNWIPED && advice == MADV_WIPEONFORK ? -1 : advice);
}

/* ---- Being called ---- */

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
  if (fault_is_refused("pthread_atfork", ENOMEM)) return ENOMEM;
  handlers++;
  return __real_pthread_atfork(prepare, parent, child);
}

int __real___cxa_atexit(void (*function)(void *), void *argument, void *dso);
int __wrap___cxa_atexit(void (*function)(void *), void *argument, void *dso);
int __wrap___cxa_atexit(void (*function)(void *), void *argument, void *dso) {
  if (fault_is_refused("__cxa_atexit", ENOMEM)) return -1;
  handlers++;
  return __real___cxa_atexit(function, argument, dso);
}

/* ---- Mutexes ---- */

void (*_Atomic fault_at_sleep)(void);

static void about_to_sleep(void) {
  void (*call)(void) = atomic_exchange(&fault_at_sleep, NULL);
  if (call != NULL) call();
}

int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex) {
  return fault_is_refused("pthread_mutex_trylock", EBUSY) ? EBUSY : __real_pthread_mutex_trylock(mutex);
}

/* In the end a wait is granted: a fork that cannot have its mutex waits until it can. */
int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
  about_to_sleep();
  bool refused_now = fault_is_refused("pthread_mutex_timedlock", ETIMEDOUT);
  if (refused_now) last_refused = 0;
  return refused_now ? ETIMEDOUT : __real_pthread_mutex_timedlock(mutex, until);
}

/* ---- Sleeping ---- */

_Atomic int fault_pauses;

int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
  if (fault_is_refused("nanosleep", EPERM)) return -1;
  fault_pauses++;
  return __real_nanosleep(time, left);
}

/* Nothing is refused for ever: a fork that finds no memory, or not its mutex, waits until it does. */
int __real_sched_yield(void);
int __wrap_sched_yield(void);
int __wrap_sched_yield(void) {
  fault_pauses++;
  last_refused = 0;
  return __real_sched_yield();
}

/* ---- What the system is asked by number ---- */

static const struct {
  long number;
  const char *name;
  int error;
} calls[] = {
    {SYS_futex, "futex", EPERM},
#ifdef SYS_futex_time64
    {SYS_futex_time64, "futex", EPERM},
#endif
    {SYS_getrandom, "getrandom", ENOSYS},
    {SYS_tgkill, "tgkill", EPERM},
};

static bool is_call_refused(long number) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (calls[i].number == number) return fault_is_refused(calls[i].name, calls[i].error);
  return false;
}

static bool is_futex(long number) {
#ifdef SYS_futex_time64
  if (number == SYS_futex_time64) return true;
#endif
  return number == SYS_futex;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  enum { FUTEX_WAIT_PRIVATE = 128 };
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
  va_end(list);
  bool sleeps = is_futex(number) && (int)arguments[1] == FUTEX_WAIT_PRIVATE;
  if (sleeps) about_to_sleep();
  if (sleeps ? fault_is_refused("sleep", EPERM) : is_call_refused(number)) return -1;
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

/* ---- Files ---- */

int __real_open(const char *path, int flags, ...);
#define WRAP_OPEN(name)                                                                 \
  int __wrap_##name(const char *path, int flags, ...);                                  \
  int __wrap_##name(const char *path, int flags, ...) {                                 \
    return fault_is_refused("open", EMFILE) ? -1 : __real_open(path, flags, (mode_t)0); \
  }
#undef open64
WRAP_OPEN(open)
WRAP_OPEN(open64)

/* A byte that somebody waits for is the test's own. */
ssize_t __real_read(int file, void *buf, size_t size);
ssize_t __wrap_read(int file, void *buf, size_t size);
ssize_t __wrap_read(int file, void *buf, size_t size) {
  return size > 1 && fault_is_refused("read", EIO) ? -1 : __real_read(file, buf, size);
}

#define WRAP_STAT(name)                                                         \
  int __real_##name(const char *path, struct stat *status);                     \
  int __wrap_##name(const char *path, struct stat *status);                     \
  int __wrap_##name(const char *path, struct stat *status) {                    \
    return fault_is_refused("stat", EACCES) ? -1 : __real_##name(path, status); \
  }
#undef stat64
WRAP_STAT(stat)
#ifdef __GLIBC__
WRAP_STAT(stat64)
#endif

/* ---- Processes ---- */

/* As a security module does. */
pid_t __real_getpgid(pid_t process);
pid_t __wrap_getpgid(pid_t process);
pid_t __wrap_getpgid(pid_t process) {
  return fault_is_refused("getpgid", EPERM) ? -1 : __real_getpgid(process);
}

_Atomic int fault_parent_before;

pid_t __real_getppid(void);
pid_t __wrap_getppid(void);
pid_t __wrap_getppid(void) {
  pid_t before = atomic_exchange(&fault_parent_before, 0);
  return before != 0 ? before : __real_getppid();
}

/* ---- What is written ---- */

/* To a pipe the test writes. */
ssize_t __real_write(int file, const void *buf, size_t size);
ssize_t __wrap_write(int file, const void *buf, size_t size);
ssize_t __wrap_write(int file, const void *buf, size_t size) {
  return file == STDERR_FILENO && fault_is_refused("write", EPIPE) ? -1 : __real_write(file, buf, size);
}

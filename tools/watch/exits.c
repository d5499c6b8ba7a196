/* SPDX-License-Identifier: MIT */
/*
 * Exit handlers that the program itself registered, and that run in another process than the one that registered them.
 *
 * Not watched are handlers of libraries, which free memory in any process; destructors of C++ objects, which are
 * registered with their object; and handlers that check which process they run in.
 */
#include <dlfcn.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "library.h"
#include "raw.h"

NEXT(on_exit);
NEXT(getpid);
NEXT(getppid);

int __cxa_atexit(void (*function)(void *), void *argument, void *dso);
NEXT(__cxa_atexit);

enum { HANDLERS = 256 };

struct handler {
  void (*function)(void *);
  void (*with_status)(int, void *); /* of on_exit(); else NULL */
  void *argument;
  uint32_t owner; /* number of the process that registered it */
};

static struct handler handlers[HANDLERS];
static _Atomic uint32_t handlers_used;

/* ---- They run: exit() has one at a time ---- */

static bool asks; /* which process it is */

/* How often this process has written, in any way; UNKNOWN: the kernel does not count. */
#define UNKNOWN UINT64_MAX

static uint64_t writes_so_far(void) {
  static const char name[] = "syscw: ";
  char text[256];
  int fd = raw_open("/proc/self/io", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return UNKNOWN;
  long size = raw_read(fd, text, sizeof text - 1);
  raw_close(fd);
  text[size < 0 ? 0 : size] = '\0';
  const char *at = strstr(text, name);
  return at == NULL ? UNKNOWN : strtoull(at + sizeof name - 1, NULL, 10);
}

static uint64_t address_of(const struct handler *handler) {
  uintptr_t address;
  memcpy(&address,
         handler->with_status != NULL ? (const void *)&handler->with_status : (const void *)&handler->function,
         sizeof address);
  return address;
}

static void tell(const struct handler *handler) {
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_EXIT_HANDLER, NULL, &stack, handler->owner, address_of(handler), atomic_load(&forks.acts));
}

static void call(const struct handler *handler, int status) {
  if (handler->with_status != NULL)
    handler->with_status(status, handler->argument);
  else
    handler->function(handler->argument);
}

static void run_in_other(const struct handler *handler, int status) {
  uint64_t writes = writes_so_far(), output = stdio_state();
  asks = false;
  atomic_store(&forks.acts, false);
  call(handler, status);
  if (writes == UNKNOWN || writes_so_far() != writes || stdio_state() != output) exits_acts();
  if (!asks) tell(handler);
}

static void run_with_status(int status, void *data) {
  const struct handler *handler = data;
  if (handler->owner == atomic_load_explicit(&self_get()->number, memory_order_relaxed))
    call(handler, status);
  else
    run_in_other(handler, status);
}

static void run(void *data) {
  run_with_status(0, data);
}

/* ---- They are registered ---- */

static bool is_of_program(const void *address) {
  Dl_info program, other;
  if (dladdr((const void *)getauxval(AT_ENTRY), &program) == 0 || dladdr(address, &other) == 0) return false;
  return program.dli_fbase == other.dli_fbase;
}

/* NULL: it is not looked at. */
static struct handler *enter(void (*function)(void *), void (*with_status)(int, void *), void *argument) {
  if (!watches(WATCH_FILES) || self_is_borrowed()) return NULL;
  struct handler handler = {function, with_status, argument, 0};
  if (!is_of_program((const void *)(uintptr_t)address_of(&handler))) return NULL;
  uint32_t place = atomic_fetch_add_explicit(&handlers_used, 1, memory_order_relaxed);
  if (place >= HANDLERS) return NULL;
  handler.owner = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  handlers[place] = handler;
  return &handlers[place];
}

/* atexit(), which is linked into each object, passes no argument. */
EXPORT int __cxa_atexit(void (*function)(void *), void *argument, void *dso) {
  struct handler *handler = argument == NULL ? enter(function, NULL, NULL) : NULL;
  if (handler == NULL) return CALL(__cxa_atexit)(function, argument, dso);
  return CALL(__cxa_atexit)(run, handler, dso);
}

EXPORT int on_exit(void (*function)(int, void *), void *argument) {
  struct handler *handler = enter(NULL, function, argument);
  if (handler == NULL) return CALL(on_exit)(function, argument);
  return CALL(on_exit)(run_with_status, handler);
}

/* ---- What others notice, beside what is written, deleted or started ---- */

#define ACTS(name, parameters, ...) \
  NEXT(name);                       \
  EXPORT int name parameters {      \
    exits_acts();                   \
    return CALL(name)(__VA_ARGS__); \
  }

ACTS(kill, (pid_t pid, int signal), pid, signal)
ACTS(killpg, (pid_t group, int signal), group, signal)
ACTS(shutdown, (int fd, int how), fd, how)
ACTS(shm_unlink, (const char *name), name)
ACTS(sem_unlink, (const char *name), name)
ACTS(shmctl, (int id, int command, struct shmid_ds *about), id, command, about)
ACTS(tcsetattr, (int fd, int when, const struct termios *settings), fd, when, settings)

/* ---- What asks which process this is ---- */

EXPORT pid_t getpid(void) {
  asks = true;
  return CALL(getpid)();
}

EXPORT pid_t getppid(void) {
  asks = true;
  return CALL(getppid)();
}

void exits_syscall(long number) {
  if (number == SYS_getpid || number == SYS_getppid) asks = true;
}

/* libatfork's.  A mark of 0 has its inline functions call those here. */
const uint64_t *atfork_mark(void);
uint64_t atfork_generation(void);
int atfork_lineage(char *buffer, size_t size);

EXPORT const uint64_t *atfork_mark(void) {
  static const uint64_t unknown;
  LIBRARY_NEXT(atfork_mark, NULL);
  return watches(WATCH_FILES) ? &unknown : next();
}

EXPORT uint64_t atfork_generation(void) {
  LIBRARY_NEXT(atfork_generation, 0);
  asks = true;
  return next();
}

EXPORT int atfork_lineage(char *buffer, size_t size) {
  LIBRARY_NEXT(atfork_lineage, -1);
  asks = true;
  return next(buffer, size);
}

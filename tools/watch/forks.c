/* SPDX-License-Identifier: MIT */
/*
 * Each way to make a process.
 *
 * Functions of the C library that run fork handlers (fork(), and those that fork inside: daemon(), forkpty()) are seen
 * by a fork handler of ours.  It is registered before all others, so it is the last of `prepare`, and the first of
 * `parent` and `child`.  Functions that run no handlers are wrapped.  If the program makes the system call by its own
 * instruction, the child itself notices, in its first watched call.
 */
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffers.h"
#include "descriptors.h"
#include "environment.h"
#include "raw.h"
#include "watch.h"

NEXT(fork);
NEXT(_Fork);
NEXT(clone);
NEXT(syscall);
NEXT(daemon);
NEXT(forkpty);
NEXT(system);
NEXT(popen);
NEXT(posix_spawn);
NEXT(posix_spawnp);

/* ---- A fork under way ---- */

_Thread_local struct fork_under_way fork_under_way __attribute__((tls_model("initial-exec")));

struct forks forks;

static bool has_handlers(enum how how) {
  return how == HOW_FORK || how == HOW_DAEMON || how == HOW_FORKPTY || how == HOW_LIBC;
}

uint64_t fork_begin(enum how how) {
  if (watch_log == NULL) return 0;
  struct self *self = self_get();
  stdio_settle(has_handlers(how)); /* fork() takes the lock of the streams, too */
  threads_know_caller();
  exits_acts();
  uint64_t count = atomic_fetch_add_explicit(&self->forks, 1, memory_order_relaxed) + 1;
  uint64_t id = ((uint64_t)atomic_load(&self->number) << 32) | count;
  unsigned others = threads_others();
  fork_under_way = (struct fork_under_way){id, how, others != 0, watch_now(), 0, NULL};
  if (how != HOW_VFORK) atomic_fetch_add_explicit(&forks.begun, 1, memory_order_relaxed);
  threads_learn_names();
  struct stack stack;
  stack_take(&stack);
  fork_under_way.frame = stack.frame;
  struct text text = {.size = 0};
  char name[16];
  threads_own_name(name);
  text_add(&text, name);
  LOG(RECORD_FORK, &text, &stack, id, how, others, handlers_count(), stack.in_signal);
  return id;
}

void fork_end(uint64_t id, pid_t child) {
  if (watch_log == NULL || id == 0) return;
  LOG(RECORD_FORKED, NULL, NULL, id, (uint64_t)(int64_t)child, watch_now() - fork_under_way.begun);
  fork_under_way.id = 0;
}

/* ---- Those with handlers ---- */

/* The wrapper has begun the fork, so that time and stack are those of its caller. */
static void before(void) {
  if (watch_log == NULL) return;
  self_get();
  if (fork_under_way.id == 0) fork_begin(HOW_LIBC);
  stdio_before_fork(fork_under_way.id, true);
  buffers_before_fork(fork_under_way.id);
}

static void in_parent(void) {
  if (fork_under_way.how == HOW_LIBC) fork_under_way.id = 0; /* the child tells its pid */
}

/* A child that has lost threads is entered at once: now the locks still show which thread held them. */
static void in_child(void) {
  if (watch_log != NULL && fork_under_way.threads) self_get();
}

__attribute__((constructor(103))) static void watch_handlers(void) {
  if (watch_log != NULL) handlers_register_own(before, in_parent, in_child);
}

static pid_t finish(uint64_t id, pid_t pid) {
  if (pid > 0) fork_end(id, pid);
  if (pid < 0) fork_end(id, -errno);
  return pid;
}

EXPORT pid_t fork(void) {
  uint64_t id = fork_begin(HOW_FORK);
  return finish(id, CALL(fork)());
}

EXPORT pid_t forkpty(int *amaster, char *name, const struct termios *termp, const struct winsize *winp) {
  uint64_t id = fork_begin(HOW_FORKPTY);
  return finish(id, CALL(forkpty)(amaster, name, termp, winp));
}

/* Its parent ends inside the call, and writes no record. */
EXPORT int daemon(int nochdir, int noclose) {
  fork_begin(HOW_DAEMON);
  int result = CALL(daemon)(nochdir, noclose);
  if (result < 0) fork_under_way.id = 0;
  return result;
}

/* ---- Those without ---- */

static uint64_t begin_bypassing(enum how how) {
  uint64_t id = fork_begin(how);
  stdio_before_fork(id, false);
  return id;
}

static pid_t finish_bypassing(uint64_t id, pid_t pid) {
  if (pid == 0) in_child();
  return finish(id, pid);
}

EXPORT pid_t _Fork(void) {
  uint64_t id = begin_bypassing(HOW_UFORK);
  return finish_bypassing(id, CALL(_Fork)());
}

struct child {
  int (*function)(void *);
  void *argument;
};

static int begin_child(void *data) {
  struct child child = *(struct child *)data;
  in_child();
  return child.function(child.argument);
}

/* A child with its parent's memory is like one of vfork(): exec and _exit() write its records. */
static int clone_borrowing(int (*function)(void *), void *stack, int flags, void *argument, pid_t *parent_tid,
                           void *tls, pid_t *child_tid) {
  uint64_t id = fork_begin(HOW_CLONE);
  fork_under_way.vfork = id;
  return finish(id, CALL(clone)(function, stack, flags, argument, parent_tid, tls, child_tid));
}

EXPORT int clone(int (*function)(void *), void *stack, int flags, void *argument, ...) {
  va_list rest;
  va_start(rest, argument);
  pid_t *parent_tid = va_arg(rest, pid_t *);
  void *tls = va_arg(rest, void *);
  pid_t *child_tid = va_arg(rest, pid_t *);
  va_end(rest);
  if ((flags & (CLONE_VM | CLONE_THREAD | CLONE_SETTLS)) == CLONE_VM && watch_log != NULL)
    return clone_borrowing(function, stack, flags, argument, parent_tid, tls, child_tid);
  int (*volatile given)(void *) = function; /* it may be NULL, which the header has the compiler rule out */
  if ((flags & CLONE_VM) != 0 || given == NULL || watch_log == NULL)
    return CALL(clone)(function, stack, flags, argument, parent_tid, tls, child_tid);
  struct child child = {function, argument};
  uint64_t id = begin_bypassing(HOW_CLONE);
  return finish(id, CALL(clone)(begin_child, stack, flags, &child, parent_tid, tls, child_tid));
}

/* How syscall() makes a process; HOWS: it makes none, or one with its own stack, which cannot return from our
 * function. */
static enum how made_by(long number, const long *args) {
#ifdef SYS_fork
  if (number == SYS_fork) return HOW_FORK_RAW;
#endif
  if (number == SYS_clone && ((unsigned long)args[0] & CLONE_VM) == 0 && args[1] == 0) return HOW_CLONE_RAW;
  if (number == SYS_clone3 && args[0] != 0) {
    const uint64_t *asked = (const uint64_t *)args[0]; /* flags come first, stack sixth */
    if ((asked[0] & CLONE_VM) == 0 && asked[5] == 0) return HOW_CLONE3_RAW;
  }
  return HOWS;
}

EXPORT long syscall(long number, ...) {
  long args[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) args[i] = va_arg(rest, long);
  va_end(rest);
  bool waited = false;
  long ended = number == SYS_futex ? conditions_futex(args, &waited, __builtin_return_address(0)) : 0;
  if (waited) return ended;
  enum how how = watch_log == NULL ? HOWS : made_by(number, args);
  enum confinement confinement = confinement_of_syscall(number, args);
  uint64_t id = how == HOWS ? 0 : begin_bypassing(how);
  /* A child with its own stack returns to the address on that stack, never here. */
  long result = CALL(syscall)(number, args[0], args[1], args[2], args[3], args[4], args[5]);
  exits_syscall(number);
  if (confinement != CONFINED_NOT && result == 0) raw_confine(confinement);
  if (forks_generation() != 0 || number == SYS_io_uring_setup)
    descriptors_syscall(number, args, result, __builtin_return_address(0));
  return how == HOWS ? result : finish_bypassing(id, (pid_t)result);
}

/* ---- Those whose child shares the parent's memory until it calls exec ---- */

static void spawned(uint64_t id, pid_t pid, const char *path) {
  if (watch_log == NULL) return;
  struct text text = {.size = 0};
  text_add(&text, path);
  LOG(RECORD_SPAWNED, &text, NULL, id, (uint64_t)(int64_t)pid, watch_now() - fork_under_way.begun);
  fork_under_way.id = 0;
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
  uint64_t id = fork_begin(HOW_SPAWN);
  ENVIRONMENT(path, envp);
  pid_t child = 0;
  descriptors_before_spawn(path, argv, envp, actions);
  int error = CALL(posix_spawn)(&child, path, actions, attributes, argv, envp);
  if (error == 0 && pid != NULL) *pid = child;
  spawned(id, error != 0 ? -error : child, path);
  return error;
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
  uint64_t id = fork_begin(HOW_SPAWN);
  char found[RECORD_TEXT / 2];
  const char *path = environment_search(file, found, sizeof found);
  ENVIRONMENT(path, envp);
  pid_t child = 0;
  descriptors_before_spawn(file, argv, envp, actions);
  int error = CALL(posix_spawnp)(&child, file, actions, attributes, argv, envp);
  if (error == 0 && pid != NULL) *pid = child;
  spawned(id, error != 0 ? -error : child, file);
  return error;
}

static void before_shell(const char *command) {
  if (command != NULL)
    descriptors_before_spawn(command, (char *const[]){(char[]){"sh"}, (char *)(uintptr_t)command, NULL}, environ, NULL);
}

EXPORT int system(const char *command) {
  if (command == NULL) return CALL(system)(command);
  uint64_t id = fork_begin(HOW_SYSTEM);
  before_shell(command);
  int status = CALL(system)(command);
  int saved = errno;
  spawned(id, status == -1 ? -saved : 0, command);
  errno = saved;
  return status;
}

EXPORT FILE *popen(const char *command, const char *type) {
  uint64_t id = fork_begin(HOW_POPEN);
  before_shell(command);
  FILE *file = CALL(popen)(command, type);
  int saved = errno;
  if (file != NULL) descriptor_opened(fileno(file), NULL); /* the C library closes it in the next one's child */
  spawned(id, file == NULL ? -saved : 0, command);
  errno = saved;
  return file;
}

/*
 * vfork() returns twice on one stack, so nothing of ours may lie on it: the call is noted, then we jump to the C
 * library's vfork(), which returns to our caller.
 */
__attribute__((used)) static any_function note_vfork(void) {
  NEXT(vfork);
  if (watch_log != NULL) {
    int saved = errno;
    uint64_t id = fork_begin(HOW_VFORK);
    fork_under_way.id = 0;
    fork_under_way.vfork = id;
    errno = saved;
  }
  return next_function(&next_of_vfork);
}

/* clang-format off */
#if defined __x86_64__
__asm__(".text\n.globl vfork\n.type vfork, @function\nvfork:\n"
        ".cfi_startproc\n"
        "endbr64\n"
        "subq $8, %rsp\n.cfi_adjust_cfa_offset 8\n"
        "call note_vfork\n"
        "addq $8, %rsp\n.cfi_adjust_cfa_offset -8\n"
        "jmp *%rax\n"
        ".cfi_endproc\n.size vfork, . - vfork\n");
#else
__asm__(".text\n.globl vfork\n.type vfork, %function\nvfork:\n"
        ".cfi_startproc\n"
        "stp x29, x30, [sp, -16]!\n.cfi_adjust_cfa_offset 16\n"
        "bl note_vfork\n"
        "ldp x29, x30, [sp], 16\n.cfi_adjust_cfa_offset -16\n"
        "br x0\n"
        ".cfi_endproc\n.size vfork, . - vfork\n");
#endif
/* clang-format on */

/* SPDX-License-Identifier: MIT */
/*
 * A program with fork handlers, for adopt.py: each prints a line, and the process at the end of each fork one more.
 *
 * adopted CASE PLUGIN
 */
#include <atfork.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

void say(const char *line);

/* By one call, as a child's lines come in between; and nothing is left in a buffer for it to write again. */
void say(const char *line) {
  struct iovec parts[] = {{(void *)(uintptr_t)line, strlen(line)}, {(char[]){'\n'}, 1}};
  if (writev(1, parts, 2) < 0) _exit(9);
}

#define HANDLERS(name)                                           \
  static void prepare_##name(void) {                             \
    say("prepare " #name);                                       \
  }                                                              \
  static void parent_##name(void) {                              \
    say("parent " #name);                                        \
  }                                                              \
  static void child_##name(void) {                               \
    say("child " #name);                                         \
  }                                                              \
  static void register_##name(void) {                            \
    pthread_atfork(prepare_##name, parent_##name, child_##name); \
  }

HANDLERS(first)
HANDLERS(last)

static void alone(void) {
  say("child alone");
}

static void *plug_in(const char *path) {
  void *plugin = dlopen(path, RTLD_NOW);
  if (plugin == NULL) _exit(8);
  return plugin;
}

static void finish(pid_t pid) {
  int status;
  if (pid == 0) {
    say("born");
    _exit(0);
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) _exit(7);
}

static void fork_once(void) {
  finish(fork());
}

/* ---- Cases ---- */

static void in_order(const char *plugin) {
  register_first();
  plug_in(plugin);
  register_last();
  fork_once();
}

static void unloaded(const char *plugin) {
  register_first();
  dlclose(plug_in(plugin));
  fork_once();
}

static int list(const struct atfork_info *info, void *unused) {
  (void)unused;
  printf("%s %d\n", info->hook.name, info->hook.priority);
  return 0;
}

/* The library is there without the program knowing of it. */
static void listed(const char *plugin) {
  int (*foreach)(int (*visit)(const struct atfork_info *info, void *arg), void *arg);
  void *symbol = dlsym(RTLD_DEFAULT, "atfork_foreach");
  register_first();
  plug_in(plugin);
  if (symbol == NULL) _exit(6);
  memcpy(&foreach, &symbol, sizeof foreach);
  foreach (list, NULL)
    ;
  fflush(stdout);
}

/* As programs do that were linked when it was a function of the C library's. */
#ifdef __x86_64__
extern int old_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
__asm__(".symver old_pthread_atfork, pthread_atfork@GLIBC_2.2.5");
#else
#define old_pthread_atfork pthread_atfork
#endif

static void old(const char *plugin) {
  old_pthread_atfork(NULL, NULL, alone);
  listed(plugin);
}

static int begin(void *unused) {
  (void)unused;
  say("born");
  return 0;
}

static pid_t clone_with_stack(void) {
  static char stack[1 << 16] __attribute__((aligned(16)));
  return clone(begin, stack + sizeof stack, SIGCHLD, NULL);
}

static pid_t clone3_call(void) {
  uint64_t asked[11] = {[4] = SIGCHLD};
  return (pid_t)syscall(SYS_clone3, asked, sizeof asked);
}

static void bypass(pid_t (*forks)(void)) {
  register_first();
  fork_once();
  pthread_atfork(NULL, NULL, alone);
  finish(forks());
  fork_once();
}

static pid_t clone_call(void) {
  return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static pid_t fork_call(void) {
#ifdef SYS_fork
  return (pid_t)syscall(SYS_fork);
#else
  return clone_call();
#endif
}

static void by_fork(const char *plugin) {
  (void)plugin;
  bypass(_Fork);
}

static void by_clone(const char *plugin) {
  (void)plugin;
  bypass(clone_with_stack);
}

static void by_fork_call(const char *plugin) {
  (void)plugin;
  bypass(fork_call);
}

static void by_clone_call(const char *plugin) {
  (void)plugin;
  bypass(clone_call);
}

static void by_clone3_call(const char *plugin) {
  (void)plugin;
  bypass(clone3_call);
}

static void by_vfork(const char *plugin) {
  (void)plugin;
  register_first();
  pid_t pid = vfork();
  if (pid == 0) _exit(0);
  finish(pid);
  say("parent goes on");
}

#ifdef __x86_64__
static void begin_on_stack(void) {
  _exit(0);
}

/* The child returns from the system call on a stack of its own, which says where to. */
static void by_call_with_stack(const char *plugin) {
  static uintptr_t stack[4096] __attribute__((aligned(16)));
  uintptr_t *top = &stack[4094];
  (void)plugin;
  register_first();
  *top = (uintptr_t)begin_on_stack;
  finish((pid_t)syscall(SYS_clone, CLONE_VM | SIGCHLD, top, NULL, NULL, NULL));
  say("parent goes on");
}
#else
#define by_call_with_stack by_vfork
#endif

/* What a child that nobody saw has missed runs before its own first fork. */
static void by_instruction(const char *plugin) {
  long result = -1;
  (void)plugin;
#if defined __x86_64__
  register_first();
  pthread_atfork(NULL, NULL, alone);
  __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_clone), "D"(SIGCHLD), "S"(0), "d"(0) : "rcx", "r11", "memory");
#else
  register_first();
  pthread_atfork(NULL, NULL, alone);
  result = fork_call();
#endif
  if (result == 0) fork_once();
  finish((pid_t)result);
}

static int depth;

static void fork_in_child(void) {
  if (depth++ == 0) fork_once();
}

static void nested(const char *plugin) {
  (void)plugin;
  pthread_atfork(NULL, NULL, fork_in_child);
  register_last();
  fork_once();
}

static void at_exit(void) {
  fork_once();
}

static void fork_at_exit(const char *plugin) {
  atexit(at_exit);
  register_first();
  plug_in(plugin);
}

static void nothing(const char *plugin) {
  (void)plugin;
  if (pthread_atfork(NULL, NULL, NULL) != 0) _exit(4);
  fork_once();
}

static void many(const char *plugin) {
  (void)plugin;
  for (int i = 0; i < 1000; i++) pthread_atfork(NULL, NULL, alone);
  for (int i = 0; i < 300; i++) dlclose(plug_in(plugin));
  fork_once();
}

static const struct {
  const char *name;
  void (*run)(const char *plugin);
} cases[] = {
    {"in-order", in_order},
    {"unloaded", unloaded},
    {"listed", listed},
    {"old", old},
    {"_Fork", by_fork},
    {"clone", by_clone},
    {"fork-call", by_fork_call},
    {"clone-call", by_clone_call},
    {"clone3-call", by_clone3_call},
    {"vfork", by_vfork},
    {"call-with-stack", by_call_with_stack},
    {"instruction", by_instruction},
    {"nested", nested},
    {"at-exit", fork_at_exit},
    {"nothing", nothing},
    {"many", many},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc == 3 && i < sizeof cases / sizeof *cases; i++) {
    if (strcmp(argv[1], cases[i].name) != 0) continue;
    cases[i].run(argv[2]);
    return 0;
  }
  return 2;
}

/* SPDX-License-Identifier: MIT */
/* Fault injection by the kernel: threads that wait for each other where futexes are forbidden; and which system calls
 * the library makes once it is in use. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"
#include "forks.h"
#include "transient.h" /* the library's own */

/* ---- Futexes ---- */

static int error; /* what a futex call gets */

/* For this thread alone: glibc ends a program in which it finds futexes forbidden. */
static void forbid_futexes(void) {
  child_check_int(filter_call(SYS_futex, SECCOMP_RET_ERRNO | (unsigned)error), ==, 0);
#ifdef SYS_futex_time64
  child_check_int(filter_call(SYS_futex_time64, SECCOMP_RET_ERRNO | (unsigned)error), ==, 0);
#endif
}

static void wait_until_waited_for(struct event *event) {
  while ((event->word & 1) == 0) sched_yield();
}

static struct atfork_once control = ATFORK_ONCE_INIT;
static struct gate in_init, is_done;
static int inits;
static bool waker_is_forbidden;

static void init(void *unused) {
  (void)unused;
  gate_open(&in_init);
  wait_until_waited_for(&atfork_transient->init_ended);
  inits++;
}
static void never(void *unused) {
  (void)unused;
  inits += 100;
}

/* Such a thread does not end either: musl has it wake whoever joins it. */
static _Noreturn void stay(void) {
  gate_open(&is_done);
  for (;;) pause();
}

static void *be_first(void *unused) {
  (void)unused;
  if (waker_is_forbidden) forbid_futexes();
  (atfork_once)(&control, init, NULL);
  stay();
}
static void *be_second(void *unused) {
  (void)unused;
  gate_wait(&in_init);
  if (!waker_is_forbidden) forbid_futexes();
  (atfork_once)(&control, never, NULL);
  child_check_int(inits, ==, 1);
  stay();
}

static void wait_in_threads(void) {
  pthread_t first, second;
  gate_make(&in_init);
  gate_make(&is_done);
  child_check_int(pthread_create(&first, NULL, be_first, NULL), ==, 0);
  child_check_int(pthread_create(&second, NULL, be_second, NULL), ==, 0);
  gate_wait(&is_done);
  gate_wait(&is_done);
}

static void test_futex(gconstpointer its_error) {
  error = *(const int *)its_error;
  for (int waker = 0; waker < 2; waker++) {
    waker_is_forbidden = waker == 1;
    in_child(fork, wait_in_threads);
  }
}

/* ---- Which calls there are ---- */

#ifdef ATFORK_TEST_COUNTS_CALLS

/* Those of the C library that make and end processes, and those that the test itself makes. */
static const int of_the_program[] = {
    SYS_clone,        SYS_clone3,          SYS_exit,  SYS_exit_group, SYS_rt_sigprocmask,  SYS_rt_sigaction,
    SYS_rt_sigreturn, SYS_wait4,           SYS_write, SYS_gettid,     SYS_set_robust_list, SYS_tgkill,
#ifdef SYS_fork
    SYS_fork,
#endif
#ifdef SYS_alarm
    SYS_alarm,
#endif
#ifdef SYS_sigreturn /* i386's */
    SYS_sigreturn,
#endif
    SYS_setitimer,    SYS_set_tid_address,
};

/* And the library's. */
static const int of_the_library[] = {
    SYS_munmap,       SYS_futex, SYS_getpid,
#ifdef SYS_mmap
    SYS_mmap,
#endif
#ifdef SYS_mmap2
    SYS_mmap2,
#endif
#ifdef SYS_futex_time64
    SYS_futex_time64,
#endif
};

enum {
  OF_THE_PROGRAM = sizeof of_the_program / sizeof *of_the_program,
  OF_THE_LIBRARY = sizeof of_the_library / sizeof *of_the_library,
  INSTRUCTIONS = 2 + 2 * (OF_THE_PROGRAM + OF_THE_LIBRARY)
};

static void add_allowed(struct sock_fprog *filter, const int *numbers, size_t count) {
  for (size_t i = 0; i < count; i++) {
    filter->filter[filter->len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
    filter->filter[filter->len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
}

/* Whoever makes another call is ended by SIGSYS. */
static void allow_nothing_else(void) {
  static struct sock_filter program[INSTRUCTIONS];
  struct sock_fprog filter = {.len = 1, .filter = program};
  program[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, nr));
  add_allowed(&filter, of_the_program, OF_THE_PROGRAM);
  add_allowed(&filter, of_the_library, OF_THE_LIBRARY);
  program[filter.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
  child_check_int(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  child_check_int(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), ==, 0);
}

static int childed;

static void child(void *unused) {
  (void)unused;
  childed++;
}
static void run(void *unused) {
  (void)unused;
}
static int visit(const struct atfork_info *info, void *unused) {
  (void)info;
  (void)unused;
  return 0;
}

static void use_all(void) {
  enum { MANY = 1000 };
  static atfork_id ids[MANY];
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  struct atfork_once once = ATFORK_ONCE_INIT;
  char text[1024];
  for (int i = 0; i < MANY; i++)
    child_check_int(ids[i] = atfork_register(&(struct atfork_hook){.priority = i % 7, .prepare = run, .child = run}),
                    !=, 0);
  atfork_id id = atfork_register_mutex(&mutex, 0);
  child_check_int(atfork_foreach(visit, NULL), ==, 0);
  (atfork_once)(&once, run, NULL);
  child_check_int(atfork_lineage(text, sizeof text), >, 0);
  child_check_int(atfork_token(text, sizeof text), >, 0);
  child_check_int(atfork_child_token(text, 7, text, sizeof text), >, 0);
  atfork_seed_bytes(atfork_seed(atfork_run()), text, sizeof text);
  for (int i = 0; i < MANY; i++) child_check_int(atfork_unregister(ids[i]), ==, 0);
  child_check_int(atfork_unregister(id), ==, 0);
}

static void use_all_in_child(void) {
  atfork_poll();
  child_check_int(childed, ==, 1);
  use_all();
}

static void use_all_in_all_ways(void) {
  /* Whatever is done once: the library's handlers are given, the program's object is noted. */
  child_check_int(atfork_register_after_fork(child, NULL), !=, 0);
  allow_nothing_else();
  use_all();
  for (size_t i = 0; i < ways_count; i++) in_child(ways[i].fork, use_all_in_child);
}

static void test_calls(void) {
  in_child(fork, use_all_in_all_ways);
}

#endif

static void test_skipped(void) {
  g_test_skip("there is no seccomp here");
}

static bool can_filter(void) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) _exit(filter_call(SYS_futex, SECCOMP_RET_ALLOW) != 0);
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv) {
  static const int errors[] = {EPERM, ENOSYS};
  g_test_init(&argc, &argv, NULL);
  if (!can_filter()) {
    g_test_add_func("/filtered/skipped", test_skipped);
    return g_test_run();
  }
  g_test_add_data_func("/filtered/futex-eperm", &errors[0], test_futex);
  g_test_add_data_func("/filtered/futex-enosys", &errors[1], test_futex);
#ifdef ATFORK_TEST_COUNTS_CALLS
  g_test_add_func("/filtered/calls", test_calls);
#endif
  return g_test_run();
}

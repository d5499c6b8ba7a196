/* SPDX-License-Identifier: MIT */
/* A fork leaves alone what no callback changes: of the thread, of the process, and of what the C library keeps. */
#include <atfork.h>
#include <dirent.h>
#include <glib.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "forks.h"

/* ---- What there is ---- */

struct surroundings {
  sigset_t mask, pending;
  struct sigaction on_user_signal;
  stack_t signal_stack;
  int cancel_state, cancel_type;
  locale_t locale;
  void *robust_list;
  int descriptors, threads;
  pid_t process;
};

static int count_entries(const char *path) {
  DIR *directory = opendir(path);
  int count = 0;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

static struct surroundings look(void) {
  struct surroundings now;
  size_t size;
  memset(&now, 0, sizeof now);
  pthread_sigmask(SIG_BLOCK, NULL, &now.mask);
  sigpending(&now.pending);
  sigaction(SIGUSR1, NULL, &now.on_user_signal);
  sigaltstack(NULL, &now.signal_stack);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &now.cancel_state);
  pthread_setcancelstate(now.cancel_state, NULL);
  pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &now.cancel_type);
  pthread_setcanceltype(now.cancel_type, NULL);
  now.locale = uselocale((locale_t)0);
  syscall(SYS_get_robust_list, 0, &now.robust_list, &size);
  now.descriptors = count_entries("/proc/self/fd");
  now.threads = count_entries("/proc/self/task");
  now.process = getpid();
  return now;
}

static bool are_same_signals(const sigset_t *a, const sigset_t *b) {
  for (int i = 1; i < NSIG; i++)
    if (sigismember(a, i) != sigismember(b, i)) return false;
  return true;
}

/* A child has no pending signals, one thread, and, if made by a system call, none of its thread's robust mutexes. */
static void expect_same(const struct surroundings *before) {
  struct surroundings now = look();
  bool is_child = now.process != before->process;
  child_check(are_same_signals(&now.mask, &before->mask));
  child_check(is_child || are_same_signals(&now.pending, &before->pending));
  child_check(now.on_user_signal.sa_handler == before->on_user_signal.sa_handler);
  child_check(now.signal_stack.ss_sp == before->signal_stack.ss_sp);
  child_check_int(now.cancel_state, ==, before->cancel_state);
  child_check_int(now.cancel_type, ==, before->cancel_type);
  child_check(now.locale == before->locale);
  child_check(now.robust_list == before->robust_list || (is_child && now.robust_list == NULL));
  child_check_int(now.descriptors, ==, before->descriptors);
  child_check(is_child || now.threads == before->threads);
}

static void on_user_signal(int signal) {
  (void)signal;
}

/* None of it is as in a process that has just begun. */
static void change_all(void) {
  static char stack[1 << 16];
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  sigaddset(&mask, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  signal(SIGUSR1, on_user_signal);
  raise(SIGUSR1);
  sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
  uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

/* ---- Around forks ---- */

static struct surroundings before;

static void is_same_in_callback(void *unused) {
  (void)unused;
  expect_same(&before);
}

static void is_same(void) {
  atfork_poll();
  expect_same(&before);
}

static void fork_in_changed(void) {
  change_all();
  before = look();
  atfork_register(&(struct atfork_hook){
      .prepare = is_same_in_callback, .parent = is_same_in_callback, .child = is_same_in_callback});
  for (size_t i = 0; i < ways_count; i++) {
    in_child(ways[i].fork, is_same);
    expect_same(&before);
  }
}

static void test_with_callbacks(void) {
  in_child(fork, fork_in_changed);
}

/* ---- Around the first look, which asks the system who this is ---- */

static void fork_unseen(void) {
  before = look();
  in_child(fork_by_syscall, is_same); /* compares its parent with the one that has noted a number */
  in_child(fork, is_same);
  expect_same(&before);
}

static int be_unseen(void) {
  change_all();
  in_child(fork, fork_unseen);
  child_passes();
}

static void test_before_the_first_call(void) {
  pid_t pid = fork();
  if (pid == 0) run_again("--unseen", NULL);
  expect_passed(pid);
}

/* ---- Around a fork that waits for a mutex, and holds signals back meanwhile ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct gate is_locked, is_asked, is_over;

static int refuse_once(void *is_first) {
  if (!*(bool *)is_first) return 0;
  *(bool *)is_first = false;
  gate_open(&is_asked);
  return 1;
}

static void *hold_mutex(void *unused) {
  pthread_mutex_lock(&mutex);
  gate_open(&is_locked);
  gate_wait(&is_asked);
  pthread_mutex_unlock(&mutex);
  gate_wait(&is_over);
  return unused;
}

static void fork_that_waits(void) {
  pthread_t thread;
  bool is_first = true;
  gate_make(&is_locked);
  gate_make(&is_asked);
  gate_make(&is_over);
  change_all();
  child_check_int(atfork_register_mutex(&mutex, 0), !=, 0);
  /* Prepared before the mutex: the thread unlocks it when the fork has begun. */
  atfork_register(&(struct atfork_hook){.priority = 1, .try_prepare = refuse_once, .data = &is_first});
  child_check_int(pthread_create(&thread, NULL, hold_mutex, NULL), ==, 0);
  gate_wait(&is_locked);
  before = look();
  in_child(fork, is_same);
  expect_same(&before);
  gate_open(&is_over);
  pthread_join(thread, NULL);
}

static void test_while_waiting(void) {
  in_child(fork, fork_that_waits);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--unseen") == 0) return be_unseen();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/untouched/with-callbacks", test_with_callbacks);
  g_test_add_func("/untouched/before-the-first-call", test_before_the_first_call);
  g_test_add_func("/untouched/while-waiting", test_while_waiting);
  return g_test_run();
}

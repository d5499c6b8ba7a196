/* SPDX-License-Identifier: MIT */
/* Promise 9: threads fork, register and unregister at once; signal handlers fork inside the library. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"

/* ---- A storm ---- */

static bool stop;
static _Thread_local int balance;

/* Prepared and not yet paired, in the thread that forks. */
static void prepare(void *unused) {
  (void)unused;
  balance++;
}
static void pair(void *unused) {
  (void)unused;
  balance--;
}

static bool is_balanced(void) {
  return balance == 0;
}

static void check_balance(void) {
  child_check(is_balanced());
  atfork_id id = atfork_register_after_fork(nothing, NULL);
  child_check_int(id, !=, 0);
  child_check_int(atfork_unregister(id), ==, 0);
}

static void *fork_in_storm(void *count) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    in_child(fork, check_balance);
    if (!is_balanced()) abort();
    __atomic_add_fetch((int *)count, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static void *register_in_storm(void *count) {
  atfork_id ids[32] = {0};
  for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
    unsigned which = i * 7 % 32;
    if (ids[which] != 0 && atfork_unregister(ids[which]) != 0) abort();
    ids[which] = atfork_register(
        &(struct atfork_hook){.priority = (int)(i % 5), .prepare = prepare, .parent = pair, .child = pair});
    if (ids[which] == 0) abort();
    __atomic_add_fetch((int *)count, 1, __ATOMIC_RELAXED);
  }
  for (unsigned i = 0; i < 32; i++)
    if (ids[i] != 0 && atfork_unregister(ids[i]) != 0) abort();
  return NULL;
}

static bool is_above_zero(int *count) {
  return __atomic_load_n(count, __ATOMIC_RELAXED) > 0;
}

static void test_storm(void) {
  pthread_t threads[8];
  int forks = 0, registrations = 0;
  const char *seconds = g_getenv("ATFORK_TEST_STORM");
  stop = false;
  for (int i = 0; i < 8; i++)
    pthread_create(&threads[i], NULL, i < 4 ? fork_in_storm : register_in_storm, i < 4 ? &forks : &registrations);
  gint64 end = g_get_monotonic_time() + (seconds != NULL ? atoi(seconds) : 5) * G_USEC_PER_SEC;
  while (g_get_monotonic_time() < end || !is_above_zero(&forks) || !is_above_zero(&registrations))
    in_child(fork, check_balance);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  g_test_message("%d forks, %d registrations", forks, registrations);
  unregister_all();
}

/* ---- A signal handler that forks ---- */

static volatile sig_atomic_t handled, bad;
static pid_t (*way_of_handler)(void);
static int ran;

static void run(void *unused) {
  (void)unused;
  ran++;
}

/* In the handler, inside whatever the main flow was doing: nothing here may touch malloc(). */
static void use_everything(bool bypassed) {
  int before = ran;
  if (bypassed && atfork_poll() < 1) _exit(10);
  if (bypassed && ran != before + 1) _exit(11);
  atfork_id id = atfork_register_after_fork(run, NULL);
  if (id == 0) _exit(12);
  pid_t pid = fork_by_syscall();
  if (pid == 0) _exit(atfork_poll() >= 2 ? 0 : 1);
  int status;
  if (waitpid(pid, &status, 0) != pid || status != 0) _exit(13);
  if (atfork_unregister(id) != 0) _exit(14);
  if (atfork_unregister(id) == 0) _exit(15);
}

/* One shot each, set anew when a handler has returned, so that the main flow gets on in between. */
static void set_timer(void) {
  struct itimerval once = {.it_value = {0, 20 + handled * 7 % 200}};
  setitimer(ITIMER_REAL, &once, NULL);
}

static void on_timer(int signal) {
  (void)signal;
  int error = errno, status;
  pid_t pid = way_of_handler();
  if (pid == 0) {
    use_everything(way_of_handler != fork);
    _exit(CHILD_PASSED);
  }
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_PASSED)
    bad = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  /* The handler's own hooks come and go while the main flow is in the middle of its. */
  atfork_id id = atfork_register(&(struct atfork_hook){.parent = run});
  if (id == 0 || atfork_unregister(id) != 0) bad = 2000;
  handled++;
  set_timer();
  errno = error;
}

static void check_handler(pid_t (*way)(void), int times) {
  atfork_id ids[64] = {0};
  struct itimerval never = {{0, 0}, {0, 0}};
  ran = handled = bad = 0;
  way_of_handler = way;
  atfork_register_after_fork(run, NULL);
  signal(SIGALRM, on_timer);
  set_timer();
  for (unsigned i = 0; handled < times && bad == 0; i++) {
    unsigned which = i * 11 % 64;
    if (ids[which] != 0) g_assert_cmpint(atfork_unregister(ids[which]), ==, 0);
    ids[which] = atfork_register(&(struct atfork_hook){.priority = (int)(i % 3), .parent = nothing});
    g_assert_cmpuint(ids[which], !=, 0);
  }
  setitimer(ITIMER_REAL, &never, NULL);
  signal(SIGALRM, SIG_IGN); /* the last one may come yet */
  g_assert_cmpint(bad, ==, 0);
  for (unsigned i = 0; i < 64; i++)
    if (ids[i] != 0) g_assert_cmpint(atfork_unregister(ids[i]), ==, 0);
  unregister_all();
}

static void test_handler_forks(void) {
  check_handler(fork, rounds(1500));
}

static void test_handler_forks_bypassing(void) {
  check_handler(fork_by_syscall, rounds(1500));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  add_race("/threads/storm", test_storm);
  add_race("/threads/signal-handler-forks", test_handler_forks);
  add_race("/threads/signal-handler-forks-bypassing", test_handler_forks_bypassing);
  return g_test_run();
}

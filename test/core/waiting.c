/* SPDX-License-Identifier: MIT */
/*
 * Promise 9: a thread that waits for ever can be recognised: by a line on stderr with ATFORK_DEBUG, and without it by a
 * debugger's backtrace.
 */
#include <atfork.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "callbacks.h"
#include "forks.h"
#include "patience.h"
#include "real_mmap.h"

/* ---- What stands between the library and the system ---- */

/* A clock that goes on by half a second at each look, so that nothing is waited for; and that is slow, so that what is
 * waited for until some time is over at once. */
int __real_clock_gettime(clockid_t clock, struct timespec *at);
int __wrap_clock_gettime(clockid_t clock, struct timespec *at);
int __wrap_clock_gettime(clockid_t clock, struct timespec *at) {
  static _Atomic long looks;
  long look = looks++;
  (void)clock;
  *at = (struct timespec){.tv_sec = look / 2, .tv_nsec = look % 2 * 500000000L};
  return 0;
}

static void (*while_mapping)(void);
static bool has_no_memory;

#define WRAP_MMAP(name)                                                                           \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset);  \
  void *__wrap_##name(void *at, size_t size, int protection, int flags, int file, off_t offset) { \
    if (while_mapping != NULL) while_mapping();                                                   \
    if (has_no_memory) return MAP_FAILED;                                                         \
    return __real_mmap(at, size, protection, flags, file, (real_offset)offset);                   \
  }
#undef mmap64
WRAP_MMAP(mmap)
WRAP_MMAP(mmap64)

/* ---- Processes that wait ---- */

/* The first line that such a process writes is the one that it expects of the library. */
static void expect(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void expect(const char *format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (write(STDERR_FILENO, line, (size_t)length) != length) abort();
}

static long this_thread(void) {
  return syscall(SYS_gettid);
}

static _Noreturn void sleep_for_ever(void) {
  for (;;) pause();
}

static struct gate ready;
static long other_thread;

/* Runs body() in a thread, until that opens the gate. */
static void in_another_thread(void *(*body)(void *)) {
  pthread_t thread;
  gate_make(&ready);
  pthread_create(&thread, NULL, body, NULL);
  gate_wait(&ready);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Not every C library notes by whom a mutex is locked. */
static const char *owner(void) {
#ifdef __GLIBC__
  static char text[64];
  snprintf(text, sizeof text, other_thread == 0 ? " by this thread itself" : " by thread %ld", other_thread);
  return text;
#else
  return "";
#endif
}

static void fork_with_the_mutex_locked(void) {
  atfork_id id = atfork_register_mutex(&mutex, 0);
  expect("atfork: fork() in thread %ld has waited 1 s for hook \"mutex\" (id %llu): its mutex is locked%s\n",
         this_thread(), (unsigned long long)id, owner());
  fork();
}

static void holds_it_itself(void) {
  pthread_mutex_lock(&mutex);
  fork_with_the_mutex_locked();
}

static void holds_an_error_checking_one(void) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&mutex, &attributes);
  holds_it_itself();
}

static void *hold_for_ever(void *unused) {
  (void)unused;
  pthread_mutex_lock(&mutex);
  other_thread = this_thread();
  gate_open(&ready);
  sleep_for_ever();
}

static void another_holds_it(void) {
  in_another_thread(hold_for_ever);
  fork_with_the_mutex_locked();
}

static int refuse(void *answer) {
  return *(int *)answer;
}

static void refuses(const char *name, const char *shown, int answer, const char *by) {
  atfork_id id = atfork_register(&(struct atfork_hook){.name = name, .try_prepare = refuse, .data = &answer});
  expect(
      "atfork: fork() in thread %ld has waited 1 s for hook \"%s\" (id %llu): its try_prepare says \"not now\", by "
      "%s\n",
      this_thread(), shown, (unsigned long long)id, by);
  fork();
}

static void always_refuses(void) {
  refuses("two\nlines", "two?lines", 7, "7");
}

static void refuses_by_a_negative_number(void) {
  refuses("minus", "minus", -1, "minus 1");
}

/* What is too long for a line is cut off. */
static void has_a_long_name(void) {
  char name[2000] = "", shown[129] = "";
  memset(name, 'x', sizeof name - 1);
  memset(shown, 'x', sizeof shown - 1);
  refuses(name, shown, 7, "7");
}

static struct atfork_once outer = ATFORK_ONCE_INIT, inner = ATFORK_ONCE_INIT;

static void call_outer(void *unused) {
  (void)unused;
  (atfork_once)(&outer, nothing, NULL);
}

static void call_inner(void *unused) {
  (void)unused;
  (atfork_once)(&inner, call_outer, NULL);
}

static void inside_its_own_init(void) {
  atfork_generation();
  expect("atfork: atfork_once() in thread %ld has waited 1 s for the init that it is called in\n", this_thread());
  (atfork_once)(&outer, call_inner, NULL);
}

static void stay(void *unused) {
  (void)unused;
  gate_open(&ready);
  sleep_for_ever();
}

static void *stay_in_init(void *unused) {
  (atfork_once)(&outer, stay, NULL);
  return unused;
}

static void inside_another_thread_s_init(void) {
  in_another_thread(stay_in_init);
  expect("atfork: atfork_once() in thread %ld has waited 1 s for another thread's init\n", this_thread());
  call_inner(NULL);
}

static void *stay_in_a_fork(void *unused) {
  fork();
  return unused;
}

static void unregisters(void) {
  atfork_id id = atfork_register(&(struct atfork_hook){.prepare = stay});
  in_another_thread(stay_in_a_fork);
  expect(
      "atfork: atfork_unregister() in thread %ld has waited 1 s for other threads' forks, and atfork_foreach(), of "
      "hook "
      "(id %llu)\n",
      this_thread(), (unsigned long long)id);
  atfork_unregister(id);
}

static char object;

static void is_unloaded(void) {
  atfork_register_for(&(struct atfork_hook){.prepare = stay}, &object);
  in_another_thread(stay_in_a_fork);
  expect("atfork: dlclose() or exit() in thread %ld has waited 1 s for other threads' forks, and atfork_foreach()\n",
         this_thread());
  finalize(&object);
}

static atfork_id leaving;

static void take_back(void *unused) {
  (void)unused;
  atfork_unregister(leaving);
}

static void leave(void *unused) {
  (void)unused;
  _exit(0);
}

static void is_unloaded_in_a_destroy(void) {
  leaving = atfork_register_for(&(struct atfork_hook){.parent = nothing, .destroy = stay}, &object);
  atfork_register(&(struct atfork_hook){.prepare = take_back, .child = leave});
  in_another_thread(stay_in_a_fork);
  expect("atfork: dlclose() or exit() in thread %ld has waited 1 s for another thread, in the destroy of a hook\n",
         this_thread());
  finalize(&object);
}

static void stay_while_mapping(void) {
  while_mapping = NULL;
  stay(NULL);
}

static void *stay_in_an_update(void *unused) {
  atfork_generation(); /* has mapped all that is not mapped in an update */
  while_mapping = stay_while_mapping;
  (atfork_register_after_fork)(nothing, NULL); /* of no object, which would be noted outside of an update */
  return unused;
}

static void updates(void) {
  in_another_thread(stay_in_an_update);
  expect("atfork: a call in thread %ld has waited 1 s for another thread's update of the registry\n", this_thread());
  atfork_register_after_fork(nothing, NULL);
}

static int visit_again(const struct atfork_info *info, void *unused) {
  (void)info;
  return atfork_foreach(visit_again, unused);
}

static void has_no_frame(void) {
  atfork_register_after_fork(nothing, NULL);
  expect("atfork: fork() or atfork_foreach() in thread %ld has waited 1 s for memory\n", this_thread());
  has_no_memory = true;
  atfork_foreach(visit_again, NULL);
}

static const struct {
  const char *name, *path;
  void (*wait)(void);
} waiters[] = {
    {"holds-it-itself", "/waiting/says/holds-it-itself", holds_it_itself},
    {"holds-an-error-checking-one", "/waiting/says/holds-an-error-checking-one", holds_an_error_checking_one},
    {"another-holds-it", "/waiting/says/another-holds-it", another_holds_it},
    {"always-refuses", "/waiting/says/always-refuses", always_refuses},
    {"refuses-by-minus", "/waiting/says/refuses-by-minus", refuses_by_a_negative_number},
    {"has-a-long-name", "/waiting/says/has-a-long-name", has_a_long_name},
    {"inside-its-own-init", "/waiting/says/inside-its-own-init", inside_its_own_init},
    {"inside-another-threads-init", "/waiting/says/inside-another-threads-init", inside_another_thread_s_init},
    {"unregisters", "/waiting/says/unregisters", unregisters},
    {"is-unloaded", "/waiting/says/is-unloaded", is_unloaded},
    {"is-unloaded-in-a-destroy", "/waiting/says/is-unloaded-in-a-destroy", is_unloaded_in_a_destroy},
    {"updates", "/waiting/says/updates", updates},
    {"has-no-frame", "/waiting/says/has-no-frame", has_no_frame},
};

/* ---- Processes whose wait ends ---- */

static int refuse_for_a_while(void *left) {
  int *count = left;
  return *count > 0 ? (*count)-- : 0;
}

/* The clock stands still in between. */
static void wait_and_go_on(void) {
  static int left = 50;
  atfork_register(&(struct atfork_hook){.try_prepare = refuse_for_a_while, .data = &left});
  errno = EDOM;
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, NULL, 0);
  if (errno != EDOM || left != 0) _exit(1);
}

static void wait_with_stderr_closed(void) {
  close(STDERR_FILENO);
  wait_and_go_on();
}

/* ---- Starting them ---- */

static char *program;

struct started {
  pid_t pid;
  FILE *says;
};

static struct started start(const char *name, const char *debug) {
  int ends[2];
  g_assert_cmpint(pipe(ends), ==, 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(patience());
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    if (debug == NULL)
      unsetenv("ATFORK_DEBUG");
    else
      setenv("ATFORK_DEBUG", debug, 1);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    execl(program, program, "--process", name, (char *)NULL);
    _exit(1);
  }
  close(ends[1]);
  return (struct started){pid, fdopen(ends[0], "r")};
}

static void stop(struct started *process) {
  /* Not everywhere does a handler come to run in a thread that waits. */
  kill(process->pid, coverage_dump != NULL ? SIGTERM : SIGKILL);
  waitpid(process->pid, NULL, 0);
  fclose(process->says);
}

static void test_says(gconstpointer name) {
  struct started process = start(name, "1");
  char expected[1024] = "", said[1024] = "";
  g_assert_nonnull(fgets(expected, sizeof expected, process.says));
  g_assert_nonnull(fgets(said, sizeof said, process.says));
  g_assert_cmpstr(said, ==, expected);
  stop(&process);
}

/* After 1 s, after 10 s, and then whenever it has doubled: what a look finds that comes each half second. */
static void test_schedule(void) {
  static const int expected[] = {1, 10, 20, 40, 80};
  struct started process = start("always-refuses", "1");
  char line[1024] = "";
  g_assert_nonnull(fgets(line, sizeof line, process.says));
  for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
    g_assert_nonnull(fgets(line, sizeof line, process.says));
    const char *waited = strstr(line, "has waited ");
    g_assert_nonnull(waited);
    g_assert_cmpint(atoi(waited + strlen("has waited ")), ==, expected[i]);
  }
  stop(&process);
}

/* All that a process says whose wait ends, which must end well. */
static void run_to_end(const char *name, const char *debug, char *said, size_t size) {
  struct started process = start(name, debug);
  int status = 1;
  said[fread(said, 1, size - 1, process.says)] = '\0';
  fclose(process.says);
  g_assert_cmpint(waitpid(process.pid, &status, 0), ==, process.pid);
  g_assert_cmpint(status, ==, 0);
}

static void test_silent(void) {
  static const char *const values[] = {NULL, "", "0"};
  char said[1024];
  for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
    run_to_end("waits-and-goes-on", values[i], said, sizeof said);
    g_assert_cmpstr(said, ==, "");
  }
  run_to_end("waits-and-goes-on", "1", said, sizeof said);
  g_assert_true(g_str_has_prefix(said, "atfork: fork() in thread "));
}

static void test_stderr_closed(void) {
  char said[1024];
  run_to_end("waits-with-stderr-closed", "1", said, sizeof said);
}

/* ---- In a debugger ---- */

/* No debugger finds its way through what a static musl sleeps in, or what a sanitizer puts there. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HAS_BACKTRACES

/* Whether a backtrace of the process has such a line: the process may be anywhere when it is stopped. */
static bool backtrace_shows(pid_t pid, const char *function, const char *arguments) {
  char command[128], line[4096];
  bool found = false;
  snprintf(command, sizeof command, "gdb -nx -batch -p %d -ex 'thread apply all bt' 2>&1", (int)pid);
  FILE *gdb = popen(command, "r");
  g_assert_nonnull(gdb);
  while (fgets(line, sizeof line, gdb) != NULL) {
    const char *at = strstr(line, function);
    found |= at != NULL && strstr(at, arguments) != NULL;
  }
  pclose(gdb);
  return found;
}

static void test_in_a_debugger(void) {
  static const struct {
    const char *name, *function, *arguments;
  } waits[] = {
      /* With few registers, the compiler keeps no argument of this one. */
      {"holds-it-itself", "atfork_fork_waits_for_hook (", sizeof(void *) == 4 ? "name=" : "\"mutex\", id"},
      {"inside-its-own-init", "atfork_once_waits_for_its_own_init (", "<outer>"},
      {"unregisters", "atfork_unregister_waits_for_forks (", "=9223372036854775810"},
  };
  if (is_emulated) {
    g_test_skip("a debugger sees the emulator, and not what that runs");
    return;
  }
  if (system("gdb --version >/dev/null 2>&1") != 0) {
    g_test_skip("there is no gdb");
    return;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(waits); i++) {
    struct started process = start(waits[i].name, NULL);
    char line[1024];
    g_assert_nonnull(fgets(line, sizeof line, process.says)); /* it is about to wait */
    while (!backtrace_shows(process.pid, waits[i].function, waits[i].arguments)) continue;
    stop(&process);
  }
}

#endif

static void write_down_and_end(int signal) {
  (void)signal;
  coverage_dump();
  _exit(0);
}

static int run_process(const char *name) {
  signal(SIGTERM, write_down_and_end);
  if (strcmp(name, "waits-and-goes-on") == 0) wait_and_go_on();
  if (strcmp(name, "waits-with-stderr-closed") == 0) wait_with_stderr_closed();
  for (size_t i = 0; i < G_N_ELEMENTS(waiters); i++)
    if (strcmp(name, waiters[i].name) == 0) waiters[i].wait();
  return 0;
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 3 && strcmp(argv[1], "--process") == 0) return run_process(argv[2]);
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(waiters); i++) g_test_add_data_func(waiters[i].path, waiters[i].name, test_says);
  g_test_add_func("/waiting/schedule", test_schedule);
  g_test_add_func("/waiting/silent", test_silent);
  g_test_add_func("/waiting/stderr-closed", test_stderr_closed);
#ifdef HAS_BACKTRACES
  g_test_add_func("/waiting/in-a-debugger", test_in_a_debugger);
#endif
  return g_test_run();
}

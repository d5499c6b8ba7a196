/* SPDX-License-Identifier: MIT */
/*
 * Promise 9 to its limit: a process is made, by every way and by this thread or another, before each single instruction
 * of the library in each function of the API.  The processor's trap flag has a signal come after every instruction.
 * matrix.c has handlers that do more, at each instruction of a few of the functions, and of a whole fork.
 */
#include <atfork.h>
#include <dlfcn.h>
#include <errno.h>
#include <glib.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "callbacks.h"
#include "calls.h"
#include "forks.h"
#include "patience.h"
#include "steps.h"

/* ---- Stepping ---- */

static struct { uintptr_t begin, end; } library;

static int find_library(struct dl_phdr_info *info, size_t size, void *address) {
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    uintptr_t begin = info->dlpi_addr + header->p_vaddr;
    if (header->p_type != PT_LOAD || (uintptr_t)address - begin >= header->p_memsz) continue;
    library.begin = begin;
    library.end = begin + header->p_memsz;
    return 1;
  }
  return 0;
}

/* ---- What is done at an instruction ---- */

static int steps;      /* instructions of the library so far */
static int next;       /* act there */
static bool once_only; /* and no more in this run */
static bool has_acted;
static bool continuing; /* in a child that goes on with the interrupted call */
static void (*action)(ucontext_t *context);
static struct {
  uintptr_t at;
  int status;
} failure;

/*
 * One instruction in `stride`, and, as a call of very many goes round a loop, far fewer later.  Where a run starts
 * differs from one to the next, so that together they act at all.  ATFORK_STRIDE=1 has each act at all.
 */
enum { LONG = 700, LONG_STRIDE = 4001 };
#ifdef __SANITIZE_ADDRESS__
static int stride = 17; /* it makes many more instructions of the same code, and slow forks */
#else
static int stride = 3;
#endif

static int first_step(void) {
  static int runs;
  return 1 + runs++ % stride;
}

static int next_step(int step) {
  return step + (step < LONG ? stride : LONG_STRIDE);
}

static void on_step(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  ucontext_t *interrupted = context;
  uintptr_t at = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
  if (at < library.begin || at >= library.end || failure.status != 0) return;
  if (++steps != next) return;
  has_acted = true;
  next = next_step(next);
  int error = errno;
  if (once_only) step_no_more(interrupted);
  action(interrupted);
  if (failure.status != 0) failure.at = at;
  errno = error;
}

static void note_end_of(pid_t pid) {
  int status = -1;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  if (ended != pid || !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_PASSED) failure.status = status;
}

/*
 * The hook that another thread was unregistering is there, or has ended, here too; but for the few instructions in
 * which that thread is about to call destroy, and is taken to have done so.
 */
enum { ABOUT_TO = 60 };
static int *about_to_end;

static void check_under_way(void) {
  if (under_way == 0) return;
  if (has_under_way()) child_check_int(atfork_unregister(under_way), ==, 0);
  child_check_int(atfork_unregister(under_way), ==, -1);
  child_check_int(destroyed, <=, 1);
  if (destroyed == 0) ++*about_to_end;
}

/* ---- Actions ---- */

static const struct way *way;

/* The handler makes a child, which uses everything there and ends. */
static void handler_forks(ucontext_t *context) {
  (void)context;
  pid_t pid = way->fork();
  if (pid == 0) {
    use_everything(way->bypasses);
    child_passes();
  }
  note_end_of(pid);
}

/* The handler makes a child, which returns from it and goes on with the interrupted call. */
static void handler_forks_and_returns(ucontext_t *context) {
  pid_t pid = way->fork();
  if (pid == 0) {
    alarm(patience());
    continuing = true;
    step_no_more(context);
    return;
  }
  note_end_of(pid);
}

/*
 * Another thread makes a child while this one stands still, until the child has ended: in the parent that thread may
 * have to wait for what this one holds.
 */
static struct gate to_other, child_ended, from_other;

static void in_other_child(void) {
  use_everything(way->bypasses);
  check_under_way();
  gate_open(&child_ended);
  child_passes();
}

static void *fork_when_told(void *unused) {
  for (;;) {
    gate_wait(&to_other);
    if (way == NULL) return unused;
    pid_t pid = way->fork();
    if (pid == 0) in_other_child();
    note_end_of(pid);
    gate_open(&from_other);
  }
}

static void other_thread_forks(ucontext_t *context) {
  (void)context;
  gate_open(&to_other);
  gate_wait(&child_ended);
}

/* The handler's own hooks come and go. */
static void handler_updates(ucontext_t *context) {
  (void)context;
  atfork_id ids[2];
  for (int i = 0; i < 2; i++) ids[i] = atfork_register(&(struct atfork_hook){.priority = i, .parent = nothing});
  for (int i = 0; i < 2; i++)
    if (ids[i] == 0 || atfork_unregister(ids[i]) != 0) failure.status = 1;
}

/* The handler asks for nothing that there is, and changes nothing. */
static atfork_id stale;

static void handler_unregisters_in_vain(ucontext_t *context) {
  (void)context;
  if (atfork_unregister(stale) == 0 || errno != ENOENT) failure.status = 1;
}

/* ---- Runs ---- */

static void report_failure(const struct call *call) {
  if (failure.status == 0) return;
  Dl_info info = {0};
  signal(SIGTRAP, SIG_DFL);
  dladdr((void *)failure.at, &info);
  g_error("%s, by %s: at %s+%#lx (%#lx), step %d: status %#x", call->name, way == NULL ? "-" : way->name,
          info.dli_sname == NULL ? "?" : info.dli_sname, (unsigned long)(failure.at - (uintptr_t)info.dli_saddr),
          (unsigned long)(failure.at - library.begin), steps, (unsigned)failure.status);
}

/* The call once, acting at `next`, and, unless it is to be once only, at each step from there on. */
static void run_call(const struct call *call) {
  steps = 0;
  has_acted = false;
  memset(&failure, 0, sizeof failure);
  arrange_call(call);
  step_begin();
  call->call();
  step_end();
  if (continuing) {
    call->expect();
    use_everything(way->bypasses && !base_ran());
    child_passes();
  }
}

static void finish_call(const struct call *call) {
  report_failure(call);
  call->expect();
}

/* The other two bypassing ways are the same to the library. */
static const struct way two_ways[] = {{"fork", fork, false}, {"syscall", fork_by_syscall, true}};

/* One run a step. */
static void run_with_each_step(const struct call *call, void (*finish)(void)) {
  int step = first_step();
  once_only = true;
  has_acted = true;
  for (; has_acted; step = next_step(step)) {
    next = step;
    run_call(call);
    if (has_acted) finish();
    finish_call(call);
  }
  g_test_message("%s: at %d instructions", call->name, step);
  g_assert_cmpint(step, >, 3);
}

/* All steps in one run. */
static void run_with_all_steps(const struct call *call) {
  once_only = false;
  next = first_step();
  run_call(call);
  finish_call(call);
  g_test_message("%s, by %s: %d instructions", call->name, way->name, steps);
  g_assert_cmpint(steps, >, 3);
}

/* A token in the making starts over when a fork has taken its number. */
static void run_with_steps(const struct call *call) {
  if (strcmp(call->name, "token") == 0)
    run_with_each_step(call, no_arrangement);
  else
    run_with_all_steps(call);
}

static void test_handler_forks(void) {
  action = handler_forks;
  for (way = two_ways; way < two_ways + 2; way++)
    for (size_t i = 0; i < calls_count; i++)
      if (!calls[i].is_in_matrix) run_with_steps(&calls[i]);
}

static void test_handler_forks_and_returns(void) {
  action = handler_forks_and_returns;
  for (way = two_ways; way < two_ways + 2; way++)
    for (size_t i = 0; i < calls_count; i++)
      if (!calls[i].is_in_matrix) run_with_steps(&calls[i]);
}

static void wait_for_other(void) {
  gate_wait(&from_other);
}

static void test_other_thread_forks(void) {
  pthread_t other;
  about_to_end = share(sizeof *about_to_end);
  gate_make(&to_other);
  gate_make(&child_ended);
  gate_make(&from_other);
  g_assert_cmpint(pthread_create(&other, NULL, fork_when_told, NULL), ==, 0);
  action = other_thread_forks;
  for (way = two_ways; way < two_ways + 2; way++) {
    *about_to_end = 0;
    for (size_t i = 0; i < calls_count; i++) run_with_each_step(&calls[i], wait_for_other);
    g_test_message("destroy was about to be called at %d instructions", *about_to_end);
    g_assert_cmpint(*about_to_end, <=, 2 * ABOUT_TO);
  }
  way = NULL;
  gate_open(&to_other);
  pthread_join(other, NULL);
}

/* An update that is disturbed starts over, so once in each run. */
static void test_handler_updates(void) {
  action = handler_updates;
  way = NULL;
  for (size_t i = 0; i < calls_count; i++) run_with_each_step(&calls[i], no_arrangement);
}

static void test_handler_unregisters_in_vain(void) {
  action = handler_unregisters_in_vain;
  way = NULL;
  stale = atfork_register_after_fork(nothing, NULL);
  g_assert_cmpint(atfork_unregister(stale), ==, 0);
  for (size_t i = 0; i < calls_count; i++) run_with_each_step(&calls[i], no_arrangement);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  if (g_getenv("ATFORK_STRIDE") != NULL) stride = atoi(g_getenv("ATFORK_STRIDE"));
  struct sigaction on_trap = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &on_trap, NULL);
  dl_iterate_phdr(find_library, (void *)(uintptr_t)&atfork_version);
  add_base();
  g_test_add_func("/every-instruction/handler-forks", test_handler_forks);
  g_test_add_func("/every-instruction/handler-forks-and-returns", test_handler_forks_and_returns);
  g_test_add_func("/every-instruction/other-thread-forks", test_other_thread_forks);
  g_test_add_func("/every-instruction/handler-updates", test_handler_updates);
  g_test_add_func("/every-instruction/handler-unregisters-in-vain", test_handler_unregisters_in_vain);
  return g_test_run();
}

/* SPDX-License-Identifier: MIT */
/* A signal handler that forks and calls the library, wherever it comes. */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "invariants.h"
#include "log.h"
#include "modes.h"

enum { OWN = 8, OF_CHILD = 6 /* steps */, BIRTHS = 3 };

static struct record *own[OWN], *of_handler;
static volatile sig_atomic_t handling, steps_left;

/* The next signal, and no more: an interval that is shorter than the handler would leave nothing else a turn. */
static void set_timer(void) {
  struct itimerval when = {.it_value = {.tv_usec = 1 + draw_below(&mine.random, 300)}};
  setitimer(ITIMER_REAL, &when, NULL);
}

/* Whether the signal came in the program, which the library is part of here: and not in a function of the C library,
 * where fork() may have its lock. */
static bool is_in_program(const void *context) {
  extern const char __executable_start[], etext[];
#if defined(__x86_64__)
  uintptr_t at = (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  uintptr_t at = (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
  uintptr_t at = 0;
  (void)context;
#endif
  return at >= (uintptr_t)__executable_start && at < (uintptr_t)etext;
}

/* Where pages are not wiped, what comes back from a bypassing fork has limits, which doc/design.md names. */
static enum way draw_way_back(void) {
  return *atfork_mark() == 0 ? BY_FORK : draw_sound_way();
}

/* The child of the handler ends in it, or takes a few steps from what was interrupted on. */
static void fork_in_handler(void) {
  bool comes_back = handling == 1 && mine.births < BIRTHS && may_come_back() && draw_below(&mine.random, 2) == 0;
  int births = mine.births;
  if (comes_back)
    fork_coming_back(draw_way_back());
  else
    fork_checked(draw_sound_way(), visit_all);
  if (mine.births != births && steps_left > OF_CHILD) steps_left = OF_CHILD;
}

static void act_in_handler(bool may_fork) {
  switch (draw_below(&mine.random, 6)) {
    case 0:
      if (of_handler != NULL) record_remove(of_handler, false);
      of_handler = record_add(OF_PROGRAM);
      break;
    case 1:
      visit_all();
      break;
    case 2:
      expect(atfork_generation() > 0);
      break;
    default:
      if (may_fork) fork_in_handler();
  }
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  int error = errno;
  uint64_t random = mine.random; /* it may be in the middle of drawing */
  int births = mine.births;
  mine.random += (uint64_t)handling;
  handling++;
  act_in_handler(mine.forking == 0 || is_in_program(context));
  handling--;
  mine.random = mine.births == births ? random : random + (uint64_t)getpid();
  errno = error;
  if (handling == 0) set_timer();
}

static void step(void) {
  atomic_fetch_add(&shared->operations, 1);
  switch (draw_below(&mine.random, 12)) {
    case 0:
      fork_checked(draw_sound_way(), visit_all);
      break;
    case 1:
      visit_all();
      break;
    case 2:
      expect(atfork_poll() == 0);
      break;
    default:
      record_change(&own[draw_below(&mine.random, OWN)], false);
  }
}

/* In a child, signals come from the first hook on. */
static void on_child(void *unused) {
  (void)unused;
  if (handling == 0) set_timer();
}

void signals_run(uint64_t seed, int steps) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
  invariants_begin(seed);
  expect(atfork_register(&(struct atfork_hook){.priority = ATFORK_PRIORITY_MIN, .child = on_child}) != 0);
  expect(sigaction(SIGALRM, &action, NULL) == 0);
  set_timer();
  steps_left = steps;
  while (steps_left-- > 0) step();
  signal(SIGALRM, SIG_IGN);
  if (mine.births > 0) _exit(0);
  invariants_end();
}

/* SPDX-License-Identifier: MIT */
/* Makes processes: forks, and what is none. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit.h"
#include "log.h"
#include "runner.h"

static void await(pid_t pid) {
  int status = 0;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  say("a child ended: %d", ended == pid ? status : -1);
}

void do_poll(const int *unused) {
  (void)unused;
  say("poll: %d", runner.api->poll());
  say_ticks();
}

/* Half of what may come is for the child, half for the parent; where it does not come back, little will do for it. */
static void divide_budget(bool back) {
  if (back || runner.nesting > 0)
    runner.budget = (runner.budget - 1) / 2;
  else
    runner.budget--;
}

/* In the child. */
static void run_block(int at, int end, bool back) {
  enum { OF_BLOCK = 8 };
  if (!back && runner.nesting == 0 && runner.budget > OF_BLOCK) runner.budget = OF_BLOCK;
  say_ticks();
  run_ops(at, end);
  if (!back) finish();
  do_give(NULL);
  runner.has_come_back = true;
}

/* Returns where to go on. */
int do_fork(int at) {
  const struct op *op = &shared->program.ops[at];
  enum way way = (enum way)op->arguments[0];
  bool back = op->arguments[1] != 0;
  int end = program_block_end(&shared->program, at);
  if (runner.budget < 1 || log_depth() >= DEEPEST) return end;
  divide_budget(back);
  do_give(NULL);
  pid_t outer = runner.forker;
  runner.forker = getpid();
  say("fork by way %d", (int)way);
  unsigned before = log_fork_begins();
  errno = 0;
  pid_t pid = runner.api->fork(way);
  int error = errno;
  log_fork_ends(before);
  runner.forker = outer;
  /* Handlers of other libraries may do with it what they like. */
  if (pid >= 0 && !runner.had_handlers) say("errno: %d", error == 0);
  if (pid == 0) {
    run_block(at + 1, end, back);
  } else if (pid > 0) {
    say_ticks();
    await(pid);
  } else {
    errno = error;
    say("fork fails: %s", error_name());
  }
  return end;
}

void spawn(char **words, char **environment) {
  pid_t pid;
  bool before = limit_forks(false);
  int error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, words, environment);
  limit_forks(before);
  if (error != 0)
    say("spawn: %s", strerror(error));
  else
    await(pid);
}

static void vfork_nothing(void) {
  bool before = limit_forks(false);
  /* vfork() is what is tried. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  pid_t pid = vfork();
#pragma GCC diagnostic pop
  if (pid == 0) _exit(0);
  limit_forks(before);
  await(pid);
}

void do_nonfork(const int *arguments) {
  static char self[] = "fuzz", nothing[] = "--nothing";
  char *words[] = {self, nothing, NULL};
  if (arguments[0] % 4 == 0)
    spawn(words, environ);
  else
    vfork_nothing();
}

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

enum { DEEPEST = 9 };

static void await(pid_t pid) {
  int status = 0;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  say("a child ended: %d", ended == pid ? status : -1);
}

_Noreturn void finish(void) {
  say_generation();
  say_lineage();
  say("poll: %d", runner.api->poll());
  say_hooks();
  _exit(0);
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
}

/* Returns where to go on. */
int do_fork(int at) {
  const struct op *op = &shared->program.ops[at];
  enum way way = (enum way)op->arguments[0];
  bool back = op->arguments[1] != 0;
  int end = program_block_end(&shared->program, at);
  if (runner.budget < 1 || log_depth() >= DEEPEST) return end;
  divide_budget(back);
  say("fork by way %d", (int)way);
  unsigned before = log_fork_begins();
  errno = 0;
  pid_t pid = runner.api->fork(way);
  int error = errno;
  log_fork_ends(before);
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

extern char **environ;

static void spawn(char **arguments) {
  pid_t pid;
  bool before = limit_forks(false);
  int error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ);
  limit_forks(before);
  if (error != 0)
    say("spawn: %s", strerror(error));
  else
    await(pid);
}

static void vfork_nothing(void) {
  bool before = limit_forks(false);
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
    spawn(words);
  else
    vfork_nothing();
}

enum { BY_TOKEN, BY_RANK, BY_CHILD_TOKEN, BY_GARBAGE };

void do_worker(const int *arguments) {
  static char self[] = "fuzz", option[] = "--worker";
  char file[16], which[16], number[16], manner[16], path[PATH_SIZE], token[2 * BASE_SIZE];
  if (runner.budget < 4 || log_depth() >= DEEPEST) return;
  runner.budget -= 4;
  say("worker");
  unsigned before = log_fork_begins();
  log_name_child(path);
  runner.api->token(token, sizeof token);
  snprintf(file, sizeof file, "%d", shared_file);
  snprintf(which, sizeof which, "%d", runner.api == &model);
  snprintf(number, sizeof number, "%d", arguments[1]);
  snprintf(manner, sizeof manner, "%d", arguments[0]);
  char *words[] = {self, option, file, which, path, manner, number, token, NULL};
  spawn(words);
  log_fork_ends(before);
}

void take_place(int how, const char *token) {
  char text[3 * BASE_SIZE];
  errno = 0;
  switch (how) {
    case BY_RANK:
      say_result("adopt", runner.api->adopt("7"));
      break;
    case BY_CHILD_TOKEN:
      say("child token: %d", runner.api->child_token(token, 3, text, sizeof text) > 0);
      say_result("spawned", runner.api->spawned(text));
      break;
    case BY_GARBAGE:
      say_result("adopt garbage", runner.api->adopt("07"));
      say_result("spawned by garbage", runner.api->spawned("atfork2:garbage"));
      break;
    default:
      say_result("spawned", runner.api->spawned(token));
  }
}

/* A spawned or adopted place cannot be taken twice, and a forked process has one. */
void do_place_or_not(const int *arguments) {
  errno = 0;
  if (runner.api->generation() != 0) take_place(arguments[0] % 2, "garbage");
  say_place();
}

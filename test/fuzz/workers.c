/* SPDX-License-Identifier: MIT */
/* Processes that are spawned rather than forked, and take a place. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "runner.h"
#include "streams.h"

enum { VARIABLES = 4 };

/* What launchers say, or would rather not. */
static const char *const environments[ENVIRONMENTS][VARIABLES] = {
    {NULL},
    {"SLURM_PROCID=3", "SLURM_STEP_ID=0", "SLURM_JOB_ID=7"},
    {"RANK=0", "WORLD_SIZE=8", "TORCHELASTIC_RUN_ID=none"},
    {"SLURM_PROCID=0", "SLURM_STEP_ID=0", "RANK=3", "WORLD_SIZE=8"},
    {"SLURM_PROCID=3", "SLURM_STEP_ID=0", "RANK=3", "WORLD_SIZE=8"},
    {"SLURM_PROCID=3", "SLURM_STEP_ID=4294967291"},
    {"PMIX_RANK=18446744073709551615", "PMIX_NAMESPACE=job", "ATFORK_RUN=0x2a"},
    {"PMI_RANK=18446744073709551616", "PMI_SIZE=1"},
    {"PMI_RANK=+1", "PMI_SIZE=2", "ATFORK_RUN=7"},
    {"RANK=", "WORLD_SIZE=2", "JOB_COMPLETION_INDEX=5"},
};

/* Ours, and what is added to it; to be freed. */
static char **make_environment(int which, char *token) {
  size_t count = 0;
  while (environ[count] != NULL) count++;
  char **made = calloc(count + VARIABLES + 2, sizeof *made);
  if (made == NULL) abort();
  memcpy(made, environ, count * sizeof *made);
  for (int i = 0; i < VARIABLES && environments[which][i] != NULL; i++) made[count++] = (char *)environments[which][i];
  made[count] = token;
  return made;
}

void do_worker(const int *arguments) {
  static char self[] = "fuzz", option[] = "--worker";
  char file[16], which[16], plan[48], path[PATH_SIZE], variable[2 * BASE_SIZE] = "ATFORK_TOKEN=";
  char *token = variable + strlen(variable);
  if (runner.budget < 4 || log_depth() >= DEEPEST) return;
  runner.budget -= 4;
  say("worker");
  unsigned before = log_fork_begins();
  log_name_child(path);
  runner.api->token(token, BASE_SIZE);
  snprintf(file, sizeof file, "%d", shared_file);
  snprintf(which, sizeof which, "%d", runner.api == &model);
  snprintf(plan, sizeof plan, "%d %d %d", arguments[0], arguments[1], arguments[3]);
  char *words[] = {self, option, file, which, path, plan, token, NULL};
  char **environment = make_environment(arguments[2], arguments[0] == BY_ENVIRONMENT ? variable : NULL);
  spawn(words, environment);
  free(environment);
  log_fork_ends(before);
}

/* ---- In the worker ---- */

static void take_by_launcher(void) {
  static char text[LAUNCHER_TEXT_SIZE];
  runner.api->launcher(text, sizeof text);
  say("launcher: %s", text);
  say_result("adopt what the launcher says", runner.api->adopt(NULL));
}

static void take_by_environment(void) {
  say_result("spawned by the environment", runner.api->spawned(NULL));
  say("which has %s", getenv("ATFORK_TOKEN") == NULL ? "nothing" : "it still");
}

static void take_place(int how, const char *token) {
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
    case BY_ENVIRONMENT:
      take_by_environment();
      break;
    case BY_LAUNCHER:
      take_by_launcher();
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

/* The first script runs before anything else has called the library. */
_Noreturn void be_worker(const char *plan, const char *token) {
  int how, script, early;
  if (sscanf(plan, "%d %d %d", &how, &script, &early) != 3) abort();
  run_script(early);
  say_place();
  run_script(script);
  take_place(how, token);
  say_place();
  run_script(script);
  say_lineage();
  say_result("adopt", runner.api->adopt("8"));
  finish();
}

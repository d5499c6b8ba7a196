/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit.h"
#include "log.h"
#include "runner.h"
#include "streams.h"
#include "watch.h"

static void begin(const struct api *api, int budget, const char *path) {
  enum { FUEL = 80 };
  runner.api = api;
  runner.budget = budget;
  runner.fuel = FUEL;
  log_begin(&shared->logs[api == &model], path);
  begin_to_end();
}

static _Noreturn void be_first(const struct api *api) {
  enum { BUDGET = 48 };
  limit_rights();
  atfork_lineage(shared->base, sizeof shared->base);
  shared->run = atfork_run();
  model_begin(atfork_generation(), shared->base, shared->run, atfork_place(), true);
  begin(api, BUDGET, "0");
  runner.has_objects = true;
  run_ops(0, program_section_end(&shared->program, 0));
  finish();
}

static _Noreturn void run_worker(char **words) {
  enum { BUDGET = 4 };
  uint64_t run = 0;
  shared_open(atoi(words[0]));
  launcher_given_run(&run);
  model_begin(0, "0", run, ATFORK_ROOT, false);
  begin(atoi(words[1]) != 0 ? &model : &library, BUDGET, words[2]);
  be_worker(words[3], words[4]);
}

/* So that no lineage below a worker, which begins anew, is that of a run's first process. */
static void use_up_numbers(void) {
  enum { NUMBERS = 1000 };
  char token[BASE_SIZE];
  for (int i = 0; i < NUMBERS; i++) atfork_token(token, sizeof token);
}

void run_prepare(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--worker") == 0) run_worker(argv + 2);
  if (argc > 1 && strcmp(argv[1], "--nothing") == 0) _exit(0);
  library_surround();
  shared_make();
  library_prepare();
  use_up_numbers();
}

/* NULL, or what went wrong. */
static const char *run(const struct api *api) {
  atomic_store(&shared->logs[api == &model].processes, 0);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    be_first(api);
  }
  return watch(pid);
}

static bool ends_well(const struct api *api, bool prints) {
  const char *how = run(api);
  if (how != NULL && prints) printf("  the %s %s\n", api->name, how);
  if (how != NULL && prints) log_print(&shared->logs[api == &model], 3);
  return how == NULL;
}

enum verdict run_both(bool prints) {
  shared->is_too_large = false;
  if (!ends_well(&library, prints) || !ends_well(&model, prints)) return DIFFERENT;
  if (shared->is_too_large) return TOO_LARGE;
  return log_differs(prints) ? DIFFERENT : SAME;
}

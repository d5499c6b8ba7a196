/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "runner.h"
#include "watch.h"

static void begin(const struct api *api, int budget, const char *path) {
  enum { FUEL = 80 };
  runner.api = api;
  runner.budget = budget;
  runner.fuel = FUEL;
  log_begin(&shared->logs[api == &model], path);
}

static _Noreturn void be_first(const struct api *api) {
  enum { BUDGET = 48 };
  atfork_lineage(shared->base, sizeof shared->base);
  shared->run = atfork_run();
  model_begin(atfork_generation(), shared->base, shared->run, atfork_place());
  begin(api, BUDGET, "0");
  runner.has_objects = true;
  run_ops(0, program_section_end(&shared->program, 0));
  finish();
}

_Noreturn void run_worker(char **arguments) {
  enum { BUDGET = 4 };
  shared_open(atoi(arguments[0]));
  int how = atoi(arguments[3]), script = atoi(arguments[4]);
  model_begin(0, "0", 0, ATFORK_ROOT);
  begin(atoi(arguments[1]) != 0 ? &model : &library, BUDGET, arguments[2]);
  say_place();
  run_script(script);
  take_place(how, arguments[5]);
  say_place();
  run_script(script);
  say_lineage();
  say_result("adopt", runner.api->adopt("8"));
  finish();
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

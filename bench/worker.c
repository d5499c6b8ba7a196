/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void worker_serve(const struct job *job, FILE *from, FILE *to) {
  char line[16];
  double values[VALUES_MAX];
  if (job->setup) job->setup(job->arg);
  while (fgets(line, sizeof line, from) && strcmp(line, "go\n") == 0) {
    for (int i = 0; i < VALUES_MAX; i++) values[i] = NAN;
    job->measure(job->arg, values);
    for (int i = 0; i < VALUES_MAX; i++) fprintf(to, "%.17g ", values[i]);
    fputc('\n', to);
    fflush(to);
  }
}

/* Makes the pipes and the process.  In the child, *worker holds its own ends. */
static void start(struct worker *worker) {
  int down[2], up[2];
  fflush(stdout);
  require(pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0);
  worker->pid = fork();
  require(worker->pid >= 0);
  int child = worker->pid == 0;
  close(child ? down[1] : down[0]);
  close(child ? up[0] : up[1]);
  worker->to = fdopen(child ? up[1] : down[1], "w");
  worker->from = fdopen(child ? down[0] : up[0], "r");
  require(worker->to && worker->from);
}

void worker_start(struct worker *worker, const struct job *job) {
  start(worker);
  if (worker->pid != 0) return;
  worker_serve(job, worker->from, worker->to);
  _exit(0);
}

void worker_start_command(struct worker *worker, const char *command) {
  start(worker);
  if (worker->pid != 0) return;
  dup2(fileno(worker->from), STDIN_FILENO);
  dup2(fileno(worker->to), STDOUT_FILENO);
  execl("/bin/sh", "sh", "-c", command, (char *)NULL);
  _exit(127);
}

static void tell(struct worker *worker, const char *word) {
  fprintf(worker->to, "%s\n", word);
  fflush(worker->to);
}

bool worker_measure(struct worker *worker, double *values) {
  char line[512];
  tell(worker, "go");
  if (!fgets(line, sizeof line, worker->from)) return false;
  char *at = line;
  for (int i = 0; i < VALUES_MAX; i++) {
    char *end;
    values[i] = strtod(at, &end);
    if (end == at) values[i] = NAN;
    at = end;
  }
  return true;
}

void worker_end(struct worker *worker) {
  tell(worker, "end");
  fclose(worker->to);
  fclose(worker->from);
  waitpid(worker->pid, NULL, 0);
}

void workers_interleave(struct worker *workers, struct results *results, size_t count, long rounds) {
  double values[VALUES_MAX];
  memset(results, 0, count * sizeof *results);
  for (size_t i = 0; i < count; i++) require(worker_measure(&workers[i], values));
  for (long round = 0; round < rounds; round++) {
    for (size_t i = 0; i < count; i++) {
      require(worker_measure(&workers[i], values));
      results_add(&results[i], values);
    }
  }
}

/* Asked once before, and so warm. */
static void measure_command(const char *command, double *values) {
  struct worker worker;
  worker_start_command(&worker, command);
  require(worker_measure(&worker, values) && worker_measure(&worker, values));
  worker_end(&worker);
}

void commands_interleave(char (*commands)[COMMAND_MAX], struct results *results, size_t count, long rounds) {
  double values[VALUES_MAX];
  memset(results, 0, count * sizeof *results);
  for (long round = 0; round < rounds; round++) {
    for (size_t i = 0; i < count; i++) {
      measure_command(commands[i], values);
      results_add(&results[i], values);
    }
  }
}

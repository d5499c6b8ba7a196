/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include <string.h>

#include "launch.h"
#include "options.h"
#include "output.h"

gboolean doctor_goes_on(const struct process *process) {
  return process->went_on && !process->execed;
}

void doctor_keep(struct doctor *doctor, struct process *process, const struct record *record) {
  struct later *later = g_new(struct later, 1);
  *later = (struct later){process, record};
  g_ptr_array_add(doctor->later, later);
}

static void take_record(const struct record *record, gpointer data) {
  struct doctor *doctor = data;
  struct process *process = model_add(doctor->model, record);
  if (process == NULL) return;
  doctor_locks_record(doctor, process, record);
  doctor_state_record(doctor, process, record);
}

/* ---- The command line ---- */

static const double slow_most = 1e12; /* ms */

static int examine(struct doctor *doctor, const struct options *options, char **command) {
  struct launch launch = {.path = NULL};
  struct log_header header = {
      .flags = WATCH_FORKS | WATCH_LOCKS | WATCH_RANDOM | WATCH_DESCRIPTORS | WATCH_FILES,
      .slow = doctor->slow,
  };
  int status = launch_begin(&launch, command, &header);
  if (status != 0) return status;
  output_survive_limit();
  doctor->model = model_new(launch.pid);
  launch_follow(&launch, take_record, doctor_look_for_hung, doctor);
  launch_drain(&launch, take_record, doctor);
  model_finish(doctor->model, launch.status);
  doctor_forks_finish(doctor);
  doctor_locks_finish(doctor);
  doctor_state_finish(doctor);
  launch_finish(&launch);
  status = launch_exit_status(&launch, process_unwatched(doctor->model->root));
  status = options_write(options, doctor->findings, doctor->model, command, status);
  model_free(doctor->model);
  return status;
}

int doctor_main(int argc, char **argv) {
  struct options options = {.tool = "doctor"};
  struct doctor doctor = {.findings = findings_new(), .later = g_ptr_array_new_with_free_func(g_free)};
  double slow = 100; /* ms */
  const GOptionEntry entries[] = {
      {"slow", 0, 0, G_OPTION_ARG_DOUBLE, &slow, "How long a fork handler may take (default 100 ms)", "MS"},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
  };
  doctor.sleepers = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  int status = STATUS_TROUBLE;
  if (options_parse(&options, entries, "Runs a command, and reports what forks break in it.", &argc, &argv) &&
      ((slow >= 0 && slow < slow_most) || options_misused(&options, "--slow needs a number of milliseconds")) &&
      options_read_suppressions(&options, doctor.findings)) {
    doctor.slow = (guint64)(slow * 1e6);
    status = options.rules ? options_print_rules() : examine(&doctor, &options, argv + 1);
  }
  g_ptr_array_unref(doctor.later);
  g_hash_table_unref(doctor.sleepers);
  findings_free(doctor.findings);
  options_finish(&options);
  return status;
}

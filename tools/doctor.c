/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include <string.h>

#include "launch.h"
#include "report.h"

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

struct options {
  gboolean json, sarif, rules;
  char *output;
  char *fail_on;
  guint fails_on; /* enum severity, or SEVERITY_ERROR + 1: never */
  char **suppressions;
  double slow; /* ms */
};

static gboolean misused(const char *what) {
  g_printerr("atfork doctor: %s\n", what);
  return FALSE;
}

static gboolean read_severity(const char *name, guint *severity) {
  static const char *const names[] = {"note", "warning", "error", "never"};
  for (*severity = 0; *severity < G_N_ELEMENTS(names); ++*severity)
    if (strcmp(name, names[*severity]) == 0) return TRUE;
  return FALSE;
}

static int examine(struct doctor *doctor, const struct options *options, char **command) {
  struct launch launch = {.path = NULL};
  struct log_header header = {
      .flags = WATCH_FORKS | WATCH_LOCKS | WATCH_RANDOM | WATCH_DESCRIPTORS | WATCH_FILES,
      .slow = doctor->slow,
  };
  int status = launch_begin(&launch, command, &header);
  if (status != 0) return status;
  doctor->model = model_new(launch.pid);
  launch_follow(&launch, take_record, doctor_look_for_hung, doctor);
  launch_drain(&launch, take_record, doctor);
  model_finish(doctor->model, launch.status);
  doctor_forks_finish(doctor);
  doctor_locks_finish(doctor);
  doctor_state_finish(doctor);
  launch_finish(&launch);
  status = launch_exit_status(&launch, process_unwatched(doctor->model->root) == NULL);
  enum format format = options->sarif ? FORMAT_SARIF : options->json ? FORMAT_JSON : FORMAT_TEXT;
  GString *report = report_make(format, "doctor", doctor->findings, doctor->model, command, status);
  if (!report_write(report, format, options->output)) status = STATUS_TROUBLE;
  g_string_free(report, TRUE);
  if (options->fails_on <= SEVERITY_ERROR && findings_count(doctor->findings, options->fails_on) > 0 &&
      status != STATUS_TROUBLE)
    status = STATUS_FOUND;
  model_free(doctor->model);
  return status;
}

/* FALSE: what is wrong was said. */
static gboolean read_options(struct options *options, int *argc, char ***argv) {
  const GOptionEntry entries[] = {
      {"json", 0, 0, G_OPTION_ARG_NONE, &options->json, "Write the findings as JSON", NULL},
      {"sarif", 0, 0, G_OPTION_ARG_NONE, &options->sarif, "Write them as SARIF 2.1.0", NULL},
      {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options->output, "Write them to FILE", "FILE"},
      {"fail-on", 0, 0, G_OPTION_ARG_STRING, &options->fail_on,
       "Exit with 100 where there is a finding of this severity or above: note, warning (the default), error, never",
       "SEVERITY"},
      {"suppressions", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->suppressions,
       "Leave out what lines \"RULE PATTERN\" of FILE name; may be given again", "FILE"},
      {"rules", 0, 0, G_OPTION_ARG_NONE, &options->rules, "Tell what each rule finds, why that is wrong, and the mend",
       NULL},
      {"slow", 0, 0, G_OPTION_ARG_DOUBLE, &options->slow, "What a fork handler may take (default 100 ms)", "MS"},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new("-- COMMAND [ARGUMENT...]");
  g_option_context_set_summary(context, "Runs a command, and tells what a fork breaks in it.");
  g_option_context_set_strict_posix(context, TRUE);
  g_option_context_add_main_entries(context, entries, NULL);
  g_autoptr(GError) error = NULL;
  if (!g_option_context_parse(context, argc, argv, &error)) return misused(error->message);
  if (*argc > 1 && strcmp((*argv)[1], "--") == 0) ++*argv, --*argc;
  if (options->rules) return *argc == 1 || misused("--rules runs no command");
  if (*argc < 2) return misused("a command is wanted: atfork doctor -- COMMAND");
  if (options->fail_on != NULL && !read_severity(options->fail_on, &options->fails_on))
    return misused("--fail-on: note, warning, error or never is wanted");
  if (!(options->slow >= 0)) return misused("--slow: a number of milliseconds is wanted");
  return TRUE;
}

static gboolean read_suppressions(struct findings *findings, char **paths) {
  g_autoptr(GError) error = NULL;
  for (guint i = 0; paths != NULL && paths[i] != NULL; i++)
    if (!findings_suppress(findings, paths[i], &error)) return misused(error->message);
  return TRUE;
}

static int print_rules(void) {
  for (guint i = 0; i < rules_count; i++)
    g_print("%s: %s\n  %s\n  %s\n", rules[i].id, severity_name(rules[i].severity), rules[i].why, rules[i].mend);
  return 0;
}

int doctor_main(int argc, char **argv) {
  struct options options = {.slow = 100, .fails_on = SEVERITY_WARNING};
  struct doctor doctor = {.findings = findings_new(), .later = g_ptr_array_new_with_free_func(g_free)};
  doctor.sleepers = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  int status = STATUS_TROUBLE;
  if (read_options(&options, &argc, &argv) && read_suppressions(doctor.findings, options.suppressions)) {
    doctor.slow = (guint64)(options.slow * 1e6);
    status = options.rules ? print_rules() : examine(&doctor, &options, argv + 1);
  }
  g_ptr_array_unref(doctor.later);
  g_hash_table_unref(doctor.sleepers);
  findings_free(doctor.findings);
  g_strfreev(options.suppressions);
  g_free(options.output);
  g_free(options.fail_on);
  return status;
}

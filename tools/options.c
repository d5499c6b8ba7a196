/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <string.h>

#include "launch.h"
#include "output.h"
#include "report.h"

gboolean options_misused(const struct options *options, const char *what) {
  g_printerr("atfork %s: %s\n", options->tool, what);
  return FALSE;
}

static gboolean read_severity(struct options *options) {
  static const char *const names[] = {"note", "warning", "error", "never"};
  options->fails_on = SEVERITY_WARNING;
  if (options->fail_on == NULL) return TRUE;
  for (options->fails_on = 0; options->fails_on < G_N_ELEMENTS(names); options->fails_on++)
    if (strcmp(options->fail_on, names[options->fails_on]) == 0) return TRUE;
  return options_misused(options, "--fail-on must be note, warning, error or never");
}

gboolean options_parse(struct options *options, const GOptionEntry *entries, const char *summary, int *argc,
                       char ***argv) {
  const GOptionEntry common[] = {
      {"json", 0, 0, G_OPTION_ARG_NONE, &options->json, "Write the findings as JSON", NULL},
      {"sarif", 0, 0, G_OPTION_ARG_NONE, &options->sarif, "Write the findings as SARIF 2.1.0", NULL},
      {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options->path, "Write the findings to FILE (-: stdout)", "FILE"},
      {"fail-on", 0, 0, G_OPTION_ARG_STRING, &options->fail_on,
       "Exit with 100 if a finding has this severity or a higher one: note, warning (the default), error, never",
       "SEVERITY"},
      {"suppressions", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->suppressions,
       "Leave out findings that match lines \"RULE PATTERN\" of FILE; may be given several times", "FILE"},
      {"rules", 0, 0, G_OPTION_ARG_NONE, &options->rules,
       "Say what each rule finds, why it is wrong, and how to fix it", NULL},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new("-- COMMAND [ARGUMENT...]");
  g_option_context_set_summary(context, summary);
  g_option_context_set_strict_posix(context, TRUE);
  g_option_context_add_main_entries(context, common, NULL);
  g_option_context_add_main_entries(context, entries, NULL);
  g_autoptr(GError) error = NULL;
  if (!g_option_context_parse(context, argc, argv, &error)) return options_misused(options, error->message);
  if (*argc > 1 && strcmp((*argv)[1], "--") == 0) ++*argv, --*argc;
  if (options->rules) return *argc == 1 || options_misused(options, "--rules runs no command");
  if (options->json && options->sarif) return options_misused(options, "--json or --sarif can be given, not both");
  g_autofree char *wanted = g_strdup_printf("a command is needed: atfork %s -- COMMAND", options->tool);
  if (*argc < 2) return options_misused(options, wanted);
  return read_severity(options) && output_is_possible(options->path);
}

int options_print_rules(void) {
  for (guint i = 0; i < rules_count; i++)
    g_print("%s: %s\n  %s\n  %s\n", rules[i].id, severity_name(rules[i].severity), rules[i].why, rules[i].mend);
  return 0;
}

gboolean options_read_suppressions(const struct options *options, struct findings *findings) {
  g_autoptr(GError) error = NULL;
  for (guint i = 0; options->suppressions != NULL && options->suppressions[i] != NULL; i++)
    if (!findings_suppress(findings, options->suppressions[i], &error)) return options_misused(options, error->message);
  return TRUE;
}

int options_write(const struct options *options, const struct findings *findings, const struct model *model,
                  char **command, int status) {
  enum format format = options->sarif ? FORMAT_SARIF : options->json ? FORMAT_JSON : FORMAT_TEXT;
  GString *report = report_make(format, options->tool, findings, model, command, status);
  gboolean written = report_write(report, format, options->path);
  g_string_free(report, TRUE);
  if (!written || status == STATUS_TROUBLE) return STATUS_TROUBLE;
  gboolean fails = options->fails_on <= SEVERITY_ERROR && findings_count(findings, options->fails_on) > 0;
  return fails ? STATUS_FOUND : status;
}

void options_finish(struct options *options) {
  g_strfreev(options->suppressions);
  g_free(options->path);
  g_free(options->fail_on);
}

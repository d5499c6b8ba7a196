/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "clean.h"
#include "json.h"
#include "output.h"

/* ---- Text ---- */

/* The frames below main() are the same in each program. */
static void text_location(GString *text, struct location *location) {
  g_string_append_printf(text, "  %s\n", location->role);
  for (guint i = 0; i < location->places->len; i++) {
    struct place *place = &g_array_index(location->places, struct place, i);
    g_autofree char *description = symbols_describe(place);
    g_string_append_printf(text, "    #%-2u ", i);
    clean_add(text, description);
    g_string_append_c(text, '\n');
    if (g_strcmp0(place->function, "main") == 0) break;
  }
}

static void text_process(GString *text, const struct process *process) {
  g_string_append_printf(text, "process %s (pid %d, ", process->lineage, process->pid);
  clean_add(text, process->program == NULL ? "?" : process->program);
  g_string_append_c(text, ')');
}

static void text_finding(GString *text, const struct finding *finding) {
  g_string_append_printf(text, "\n%s: %s", severity_name(finding->severity), finding->rule->id);
  if (finding->count > 1) g_string_append_printf(text, " (%u times)", finding->count);
  g_string_append(text, "\n  ");
  clean_add(text, finding->message);
  g_string_append(text, "\n  in ");
  text_process(text, finding->process);
  g_string_append_printf(text, "\n  why: %s\n  fix: %s\n", finding->rule->why, finding->rule->mend);
  for (guint i = 0; i < finding->locations->len; i++) text_location(text, g_ptr_array_index(finding->locations, i));
}

static void text_unwatched(GString *text, const struct model *model) {
  for (guint i = 0; i < model->processes->len; i++) {
    const struct process *process = g_ptr_array_index(model->processes, i);
    const char *why = process_unwatched(process);
    if (why == NULL) continue;
    g_string_append(text, "\nnot watched: ");
    text_process(text, process);
    g_string_append_printf(text, ": %s\n", why);
  }
}

static void text_report(GString *text, const char *tool, const struct findings *findings, const struct model *model) {
  for (guint i = 0; i < findings->all->len; i++) text_finding(text, g_ptr_array_index(findings->all, i));
  text_unwatched(text, model);
  guint errors = findings_count(findings, SEVERITY_ERROR);
  guint warnings = findings_count(findings, SEVERITY_WARNING) - errors;
  guint notes = findings_count(findings, SEVERITY_NOTE) - errors - warnings;
  g_string_append_printf(text, "%satfork %s: %u %s, %u %s, %u %s in %u %s", findings->all->len == 0 ? "" : "\n", tool,
                         errors, errors == 1 ? "error" : "errors", warnings, warnings == 1 ? "warning" : "warnings",
                         notes, notes == 1 ? "note" : "notes", model->processes->len,
                         model->processes->len == 1 ? "process" : "processes");
  if (findings->suppressed != 0) g_string_append_printf(text, "; %u suppressed", findings->suppressed);
  g_string_append_c(text, '\n');
}

/* ---- JSON ---- */

void json_place(struct json *json, struct place *place) {
  symbols_find(place);
  json_begin(json, NULL, '{');
  json_string(json, "function", place->function);
  json_string(json, "file", place->file);
  if (place->line != 0) json_integer(json, "line", place->line);
  json_string(json, "object", place->object);
  json_integer(json, "offset", (gint64)place->offset);
  json_end(json, '}');
}

static void json_location(struct json *json, struct location *location) {
  json_begin(json, NULL, '{');
  json_string(json, "role", location->role);
  json_begin(json, "frames", '[');
  for (guint i = 0; i < location->places->len; i++) json_place(json, &g_array_index(location->places, struct place, i));
  json_end(json, ']');
  json_end(json, '}');
}

static void json_finding(struct json *json, const struct finding *finding) {
  json_begin(json, NULL, '{');
  json_string(json, "rule", finding->rule->id);
  json_string(json, "severity", severity_name(finding->severity));
  json_string(json, "message", finding->message);
  json_string(json, "why", finding->rule->why);
  json_string(json, "mend", finding->rule->mend);
  json_integer(json, "count", finding->count);
  json_begin(json, "process", '{');
  json_integer(json, "pid", finding->process->pid);
  json_string(json, "lineage", finding->process->lineage);
  json_string(json, "program", finding->process->program);
  json_end(json, '}');
  json_begin(json, "locations", '[');
  for (guint i = 0; i < finding->locations->len; i++) json_location(json, g_ptr_array_index(finding->locations, i));
  json_end(json, ']');
  json_end(json, '}');
}

static void json_unwatched(struct json *json, const struct model *model) {
  json_begin(json, "unwatched", '[');
  for (guint i = 0; i < model->processes->len; i++) {
    const struct process *process = g_ptr_array_index(model->processes, i);
    const char *why = process_unwatched(process);
    if (why == NULL) continue;
    json_begin(json, NULL, '{');
    json_integer(json, "pid", process->pid);
    json_string(json, "lineage", process->lineage);
    json_string(json, "program", process->program);
    json_string(json, "why", why);
    json_end(json, '}');
  }
  json_end(json, ']');
}

static void json_report(struct json *json, const char *tool, const struct findings *findings, const struct model *model,
                        char **command, int status) {
  json_begin(json, NULL, '{');
  json_string(json, "version", VERSION);
  json_string(json, "tool", tool);
  json_begin(json, "command", '[');
  for (guint i = 0; command[i] != NULL; i++) json_string(json, NULL, command[i]);
  json_end(json, ']');
  json_integer(json, "status", status);
  json_integer(json, "processes", model->processes->len);
  json_integer(json, "suppressed", findings->suppressed);
  json_unwatched(json, model);
  json_begin(json, "findings", '[');
  for (guint i = 0; i < findings->all->len; i++) json_finding(json, g_ptr_array_index(findings->all, i));
  json_end(json, ']');
  json_end(json, '}');
}

/* ---- SARIF 2.1.0 ---- */

static void sarif_text(struct json *json, const char *name, const char *value) {
  json_begin(json, name, '{');
  json_string(json, "text", value);
  json_end(json, '}');
}

static void sarif_rules(struct json *json) {
  json_begin(json, "rules", '[');
  for (guint i = 0; i < rules_count; i++) {
    json_begin(json, NULL, '{');
    json_string(json, "id", rules[i].id);
    sarif_text(json, "shortDescription", rules[i].why);
    sarif_text(json, "fullDescription", rules[i].why);
    sarif_text(json, "help", rules[i].mend);
    json_begin(json, "defaultConfiguration", '{');
    json_string(json, "level", severity_name(rules[i].severity));
    json_end(json, '}');
    json_end(json, '}');
  }
  json_end(json, ']');
}

static void sarif_place(struct json *json, const char *name, struct place *place) {
  symbols_find(place);
  const char *path = place->file != NULL ? place->file : place->object != NULL ? place->object : "unknown";
  g_autofree char *whole = g_path_is_absolute(path) ? g_canonicalize_filename(path, NULL) : NULL;
  g_autofree char *uri = whole != NULL ? g_filename_to_uri(whole, NULL, NULL)
                                       : g_uri_escape_string(path, G_URI_RESERVED_CHARS_ALLOWED_IN_PATH, FALSE);
  json_begin(json, name, '{');
  json_begin(json, "physicalLocation", '{');
  json_begin(json, "artifactLocation", '{');
  json_string(json, "uri", uri);
  json_end(json, '}');
  if (place->line != 0) {
    json_begin(json, "region", '{');
    json_integer(json, "startLine", place->line);
    json_end(json, '}');
  }
  json_end(json, '}');
  if (place->function != NULL) {
    json_begin(json, "logicalLocations", '[');
    json_begin(json, NULL, '{');
    json_string(json, "fullyQualifiedName", place->function);
    json_string(json, "kind", "function");
    json_end(json, '}');
    json_end(json, ']');
  }
  json_end(json, '}');
}

static void sarif_stack(struct json *json, struct location *location) {
  json_begin(json, NULL, '{');
  sarif_text(json, "message", location->role);
  json_begin(json, "frames", '[');
  for (guint i = 0; i < location->places->len; i++) {
    json_begin(json, NULL, '{');
    sarif_place(json, "location", &g_array_index(location->places, struct place, i));
    json_end(json, '}');
  }
  json_end(json, ']');
  json_end(json, '}');
}

/* Code scanning shows only results with a place. */
static struct place first_place(const struct finding *finding) {
  if (finding->locations->len == 0) return (struct place){.object = finding->process->program};
  struct location *first = g_ptr_array_index(finding->locations, 0);
  return g_array_index(first->places, struct place, 0);
}

static void sarif_result(struct json *json, const struct finding *finding) {
  json_begin(json, NULL, '{');
  json_string(json, "ruleId", finding->rule->id);
  json_string(json, "level", severity_name(finding->severity));
  sarif_text(json, "message", finding->message);
  json_begin(json, "locations", '[');
  struct place place = first_place(finding);
  sarif_place(json, NULL, &place);
  json_end(json, ']');
  json_begin(json, "stacks", '[');
  for (guint i = 0; i < finding->locations->len; i++) sarif_stack(json, g_ptr_array_index(finding->locations, i));
  json_end(json, ']');
  json_end(json, '}');
}

static void sarif_report(struct json *json, const struct findings *findings) {
  json_begin(json, NULL, '{');
  json_string(json, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
  json_string(json, "version", "2.1.0");
  json_begin(json, "runs", '[');
  json_begin(json, NULL, '{');
  json_begin(json, "tool", '{');
  json_begin(json, "driver", '{');
  json_string(json, "name", "atfork");
  json_string(json, "version", VERSION);
  sarif_rules(json);
  json_end(json, '}');
  json_end(json, '}');
  json_begin(json, "results", '[');
  for (guint i = 0; i < findings->all->len; i++) sarif_result(json, g_ptr_array_index(findings->all, i));
  json_end(json, ']');
  json_end(json, '}');
  json_end(json, ']');
  json_end(json, '}');
}

/* ---- Any of them ---- */

static gint worst_first(gconstpointer a, gconstpointer b) {
  const struct finding *const *one = a, *const *other = b;
  return (gint)(*other)->severity - (gint)(*one)->severity;
}

GString *report_make(enum format format, const char *tool, const struct findings *findings, const struct model *model,
                     char **command, int status) {
  struct json json = {.text = g_string_new(NULL)};
  g_ptr_array_sort(findings->all, worst_first);
  if (format == FORMAT_TEXT)
    text_report(json.text, tool, findings, model);
  else if (format == FORMAT_JSON)
    json_report(&json, tool, findings, model, command, status);
  else
    sarif_report(&json, findings);
  if (format != FORMAT_TEXT) g_string_append_c(json.text, '\n');
  return json.text;
}

gboolean report_write(const GString *report, enum format format, const char *path) {
  if (path != NULL && strcmp(path, "-") != 0) return output_write(path, report);
  FILE *stream = path == NULL && format == FORMAT_TEXT ? stderr : stdout;
  return fwrite(report->str, 1, report->len, stream) == report->len && fflush(stream) == 0;
}

/* SPDX-License-Identifier: MIT */
#include "finding.h"

#include <string.h>

/* ---- Rules ---- */

const struct rule rules[] = {
    {"dead-lock", SEVERITY_ERROR,
     "The thread that holds the lock exists only in the parent, so no thread of the child ever unlocks it.",
     "Take the lock before the fork and release it on both sides, as atfork_register_mutex() does, or exec at once."},
    {"held-lock", SEVERITY_WARNING,
     "A lock that another thread holds at the fork stays locked in the child, and the data it guards may be half "
     "changed.",
     "Take the lock before the fork and release it on both sides, as atfork_register_mutex() does."},
    {"lost-thread", SEVERITY_NOTE,
     "A child has only the thread that forked, and no thread there does the work of the others.",
     "Start the threads after the fork, or again in a child hook."},
    {"lost-waiter", SEVERITY_WARNING,
     "The threads that waited at the fork are gone in the child, but the object still counts them.",
     "Initialise the object again in a child hook, or start the threads after the fork."},
    {"endless-wait", SEVERITY_ERROR,
     "The child's only thread waits without a time limit for something that only another thread could do.",
     "Start the threads that it waits for in the child, in a child hook for example."},
    {"same-random", SEVERITY_ERROR,
     "Both processes have copies of the generator's state, so they draw the same numbers.",
     "Seed the generator in a child hook, by atfork_seed(atfork_run()) for example."},
    {"shared-descriptor", SEVERITY_WARNING,
     "Both processes use one open file description, and share its position, its data and its events.",
     "Open it again in the child, or close it in one of the processes."},
    {"shared-session", SEVERITY_ERROR,
     "Each process has a copy of the session's state in memory, and the copies differ as soon as both use the session.",
     "Close it before the fork, or open another one in the child, in a child hook or by atfork_once()."},
    {"leaked-descriptor", SEVERITY_WARNING, "A descriptor stays open in a program that does not know of it.",
     "Open it with O_CLOEXEC or SOCK_CLOEXEC, or close it before exec."},
    {"double-output", SEVERITY_ERROR,
     "Both processes have the data that was in the stream's buffer at the fork, and each writes it.",
     "Call fflush(NULL) before the fork, in a prepare hook for example, or end the child by _exit()."},
    {"exit-handler", SEVERITY_WARNING,
     "Functions that the parent registered to run at its own end run in the child, too.",
     "End the child by _exit(), or have the functions do nothing where atfork_generation() has changed."},
    {"deleted-file", SEVERITY_ERROR, "The child deletes a temporary file that its parent made and may still use.",
     "Delete it only in the process that made it."},
    {"missed-handler", SEVERITY_ERROR,
     "A fork of this kind runs no fork handlers, and the child goes on as if they had run.",
     "Use fork(), call exec at once, or register hooks with libatfork and call atfork_poll() in the child."},
    {"slow-handler", SEVERITY_WARNING, "Each fork waits for its handlers.",
     "Do less in the handler, or do it later, on the first use in the child, by atfork_once()."},
    {"unloaded-handler", SEVERITY_ERROR, "A fork calls a handler whose code has been unmapped.",
     "Unregister it before the object is unloaded. A hook of libatfork ends with the object that registered it."},
    {"signal-fork", SEVERITY_WARNING,
     "fork() runs fork handlers, which may take a lock that the interrupted code holds.",
     "Fork outside of the signal handler: the handler may write to a pipe, and a loop that reads the pipe may fork."},
    {"cuda-before-fork", SEVERITY_ERROR, "CUDA does not work in a child of a process that has initialised it.",
     "Initialise CUDA after the fork, or start workers by exec (spawn)."},
};
const guint rules_count = G_N_ELEMENTS(rules);

static const struct rule *find_rule(const char *id) {
  for (guint i = 0; i < rules_count; i++)
    if (strcmp(rules[i].id, id) == 0) return &rules[i];
  return NULL;
}

const char *severity_name(enum severity severity) {
  static const char *const names[] = {"note", "warning", "error"};
  return names[severity];
}

/* ---- Suppressions ---- */

struct suppression {
  char *rule;
  GPatternSpec *pattern;
};

static void free_suppression(gpointer data) {
  struct suppression *suppression = data;
  g_free(suppression->rule);
  g_pattern_spec_free(suppression->pattern);
  g_free(suppression);
}

static gboolean suppress_line(struct findings *findings, const char *path, guint number, char *line, GError **error) {
  g_strstrip(line);
  if (*line == '\0' || *line == '#') return TRUE;
  g_auto(GStrv) words = g_strsplit_set(line, " \t", 2);
  const char *pattern = words[1] == NULL ? "" : g_strstrip(words[1]);
  if (*pattern == '\0' || (strcmp(words[0], "*") != 0 && find_rule(words[0]) == NULL)) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s:%u: %s: \"%s\"", path, number,
                *pattern == '\0' ? "a rule and a pattern are needed" : "no such rule", line);
    return FALSE;
  }
  struct suppression *suppression = g_new(struct suppression, 1);
  suppression->rule = g_strdup(words[0]);
  suppression->pattern = g_pattern_spec_new(pattern);
  g_ptr_array_add(findings->suppressions, suppression);
  return TRUE;
}

gboolean findings_suppress(struct findings *findings, const char *path, GError **error) {
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, error)) return FALSE;
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    if (!suppress_line(findings, path, i + 1, lines[i], error)) return FALSE;
  return TRUE;
}

static gboolean matches(const struct suppression *suppression, const char *text) {
  return text != NULL && g_pattern_match_string(suppression->pattern, text);
}

static gboolean place_matches(const struct suppression *suppression, struct place *place) {
  symbols_find(place);
  return matches(suppression, place->function) || matches(suppression, place->object) ||
         matches(suppression, place->file);
}

static gboolean finding_matches(const struct suppression *suppression, const struct finding *finding) {
  if (strcmp(suppression->rule, "*") != 0 && strcmp(suppression->rule, finding->rule->id) != 0) return FALSE;
  for (guint i = 0; i < finding->locations->len; i++) {
    struct location *location = g_ptr_array_index(finding->locations, i);
    for (guint k = 0; k < location->places->len; k++)
      if (place_matches(suppression, &g_array_index(location->places, struct place, k))) return TRUE;
  }
  /* A finding without a stack is suppressed by the path of its program. */
  return matches(suppression, finding->process->program);
}

static gboolean is_suppressed(const struct findings *findings, const struct finding *finding) {
  for (guint i = 0; i < findings->suppressions->len; i++)
    if (finding_matches(g_ptr_array_index(findings->suppressions, i), finding)) return TRUE;
  return FALSE;
}

/* ---- Findings ---- */

static void free_location(gpointer data) {
  struct location *location = data;
  g_free(location->role);
  g_array_unref(location->places);
  g_free(location);
}

void finding_free(struct finding *finding) {
  g_ptr_array_unref(finding->locations);
  g_free(finding->message);
  g_free(finding);
}

static void free_finding(gpointer finding) {
  finding_free(finding);
}

struct findings *findings_new(void) {
  struct findings *findings = g_new0(struct findings, 1);
  findings->all = g_ptr_array_new_with_free_func(free_finding);
  findings->suppressions = g_ptr_array_new_with_free_func(free_suppression);
  return findings;
}

void findings_free(struct findings *findings) {
  g_ptr_array_unref(findings->all);
  g_ptr_array_unref(findings->suppressions);
  g_free(findings);
}

struct finding *finding_new(const char *rule, struct process *process, const char *message, ...) {
  struct finding *finding = g_new0(struct finding, 1);
  finding->rule = find_rule(rule);
  g_assert(finding->rule != NULL);
  finding->severity = finding->rule->severity;
  finding->process = process;
  finding->count = 1;
  va_list arguments;
  va_start(arguments, message);
  finding->message = g_strdup_vprintf(message, arguments);
  va_end(arguments);
  finding->locations = g_ptr_array_new_with_free_func(free_location);
  return finding;
}

void finding_locate(struct finding *finding, const char *role, const struct process *process,
                    const struct frames *frames) {
  if (frames->count == 0) return;
  struct location *location = g_new(struct location, 1);
  location->role = g_strdup(role);
  location->places = g_array_new(FALSE, FALSE, sizeof(struct place));
  for (guint i = 0; i < frames->count; i++) {
    struct place place = symbols_place(process, frames->addresses[i], frames->time);
    g_array_append_val(location->places, place);
  }
  g_ptr_array_add(finding->locations, location);
}

void finding_locate_at(struct finding *finding, const char *role, const struct process *process, guint64 address) {
  if (address != 0) finding_locate(finding, role, process, &(struct frames){0, 1, {address}});
}

static gboolean same_stack(const struct location *a, const struct location *b) {
  if (a->places->len != b->places->len || strcmp(a->role, b->role) != 0) return FALSE;
  for (guint i = 0; i < a->places->len; i++) {
    const struct place *one = &g_array_index(a->places, struct place, i);
    const struct place *other = &g_array_index(b->places, struct place, i);
    if (g_strcmp0(one->object, other->object) != 0 || one->offset != other->offset) return FALSE;
  }
  return TRUE;
}

static gboolean alike(const struct finding *a, const struct finding *b) {
  if (a->rule != b->rule || a->severity != b->severity || a->locations->len != b->locations->len) return FALSE;
  if (a->locations->len == 0) return strcmp(a->message, b->message) == 0;
  for (guint i = 0; i < a->locations->len; i++)
    if (!same_stack(g_ptr_array_index(a->locations, i), g_ptr_array_index(b->locations, i))) return FALSE;
  return TRUE;
}

void findings_add(struct findings *findings, struct finding *finding) {
  if (is_suppressed(findings, finding)) {
    findings->suppressed++;
    free_finding(finding);
    return;
  }
  for (guint i = 0; i < findings->all->len; i++) {
    struct finding *other = g_ptr_array_index(findings->all, i);
    if (!alike(other, finding)) continue;
    other->count++;
    free_finding(finding);
    return;
  }
  g_ptr_array_add(findings->all, finding);
}

guint findings_count(const struct findings *findings, enum severity at_least) {
  guint count = 0;
  for (guint i = 0; i < findings->all->len; i++)
    count += ((struct finding *)g_ptr_array_index(findings->all, i))->severity >= at_least;
  return count;
}

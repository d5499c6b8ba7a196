/* SPDX-License-Identifier: MIT */
/* Runs a command whose fork handlers become hooks of the library. */
#include "run.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "adopt/environment.h"
#include "launch.h"

enum { PRIORITIES_MOST = 100 << 10 /* bytes: the kernel allows 128 KiB for a variable of the environment */ };

static int misused(const char *what) {
  g_printerr("atfork run: %s\n", what);
  return STATUS_TROUBLE;
}

/* ---- The file of priorities ---- */

/* The last word of a line is the priority; the text before it is the pattern. */
static gboolean read_line(char *line, GString *priorities, char **trouble) {
  gint64 priority;
  g_strstrip(line);
  if (*line == '\0' || *line == '#') return TRUE;
  char *word = line + strlen(line);
  while (word > line && !g_ascii_isspace(word[-1])) word--;
  if (word == line) {
    *trouble = g_strdup_printf("PATTERN PRIORITY expected, not \"%s\"", line);
    return FALSE;
  }
  if (!g_ascii_string_to_signed(word, 10, -32768, 32767, &priority, NULL)) {
    *trouble = g_strdup_printf("a priority from -32768 to 32767 expected, not \"%s\"", word);
    return FALSE;
  }
  word[-1] = '\0';
  g_string_append_printf(priorities, "%d %s\n", (int)priority, g_strchomp(line));
  return TRUE;
}

/* The value for ADOPT_PRIORITIES; NULL after a message.  Free it. */
static char *read_priorities(const char *path) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *trouble = NULL;
  gsize length;
  if (!g_file_get_contents(path, &text, &length, &error)) {
    g_printerr("atfork run: %s\n", error->message);
    return NULL;
  }
  if (strlen(text) != length || length > PRIORITIES_MOST) {
    g_printerr("atfork run: %s: %s\n", path, strlen(text) != length ? "it is not a text file" : "it is too long");
    return NULL;
  }
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autoptr(GString) priorities = g_string_new(NULL);
  for (guint i = 0; lines[i] != NULL; i++) {
    if (read_line(lines[i], priorities, &trouble)) continue;
    g_printerr("atfork run: %s:%u: %s\n", path, i + 1, trouble);
    return NULL;
  }
  return g_strdup(priorities->str);
}

/* ---- The command ---- */

struct options {
  gboolean adopt;
  char *priorities; /* a file */
  char *bypassing;
};

static gboolean is_way_of_bypassing(const char *word) {
  static const char *const words[] = {ADOPT_UNPAIRED, ADOPT_ALL, ADOPT_NONE, NULL};
  return g_strv_contains(words, word);
}

/* Executes the command.  Returns only on failure: the exit status, after a message. */
static int become(char **command, const char *priorities, const char *bypassing) {
  g_autofree char *program = NULL;
  int status = launch_find_program("atfork run", "adopt the fork handlers of", command[0], &program);
  if (status != 0) return status;
  g_autofree char *library = launch_find_library("libatfork-adopt.so");
  if (library == NULL || !launch_can_preload(library)) return STATUS_TROUBLE;
  g_auto(GStrv) env = g_environ_setenv(launch_preload(library), ADOPT_PRIORITIES, priorities, TRUE);
  env = g_environ_setenv(env, ADOPT_BYPASSING, bypassing, TRUE);
  execve(program, command, env);
  if (errno == ENOEXEC) {
    g_autofree char **script = launch_script(program, command);
    execve(script[0], script, env);
  }
  int error = errno;
  g_printerr("atfork run: %s: %s\n", program, g_strerror(error));
  return error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
}

static int run(const struct options *options, char **command) {
  if (command[0] == NULL) return misused("a command is needed: atfork run --adopt -- COMMAND");
  if (!options->adopt) return misused("--adopt is needed: atfork run does nothing else");
  const char *bypassing = options->bypassing == NULL ? ADOPT_UNPAIRED : options->bypassing;
  if (!is_way_of_bypassing(bypassing)) return misused("--bypassing must be unpaired, all or none");
  g_autofree char *priorities = options->priorities == NULL ? g_strdup("") : read_priorities(options->priorities);
  return priorities == NULL ? STATUS_TROUBLE : become(command, priorities, bypassing);
}

int run_main(int argc, char **argv) {
  struct options options = {.adopt = FALSE};
  const GOptionEntry entries[] = {
      {"adopt", 0, 0, G_OPTION_ARG_NONE, &options.adopt, "Make the handlers of pthread_atfork() hooks of the library",
       NULL},
      {"priorities", 0, 0, G_OPTION_ARG_FILENAME, &options.priorities,
       "Read priorities from FILE: lines \"PATTERN PRIORITY\", where PATTERN matches the path of an object", "FILE"},
      {"bypassing", 0, 0, G_OPTION_ARG_STRING, &options.bypassing,
       "Which child handlers run after a bypassing fork: unpaired (those without a prepare handler, the default), "
       "all, none",
       "WHICH"},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new("--adopt -- COMMAND [ARGUMENT...]");
  g_option_context_set_summary(context,
                               "Runs a command and all programs that it starts, with their fork handlers adopted.");
  g_option_context_set_strict_posix(context, TRUE);
  g_option_context_add_main_entries(context, entries, NULL);
  g_autoptr(GError) error = NULL;
  if (!g_option_context_parse(context, &argc, &argv, &error)) return misused(error->message);
  if (argc > 1 && strcmp(argv[1], "--") == 0) argv++;
  int status = run(&options, argv + 1);
  g_free(options.priorities);
  g_free(options.bypassing);
  return status;
}

/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "launch.h"
#include "output.h"
#include "tree_text.h"

struct options {
  char *json, *html, *trace; /* paths, "-": stdout */
  char *output;              /* of the text */
  gboolean all;
};

/* ---- Following ---- */

struct following {
  struct model *model;
  struct ends *ends;
  struct tree_text *text; /* NULL: none is wanted */
};

static void take_record(const struct record *record, gpointer data) {
  struct following *following = data;
  struct process *process = model_add(following->model, record);
  if (following->text != NULL) tree_text_record(following->text, process, record);
}

/* TRUE: a process still runs. */
static gboolean look(gpointer data) {
  struct following *following = data;
  gboolean any = ends_look(following->ends) > 0;
  if (following->text != NULL) tree_text_look(following->text);
  return any;
}

/* A process closes its descriptors before it ends, so the command may end first. */
static void end_look(struct following *following) {
  for (guint i = 0; ends_look(following->ends) > 0 && i < 10; i++) g_usleep(2000);
}

static void follow(struct following *following, struct launch *launch, gboolean all) {
  launch_follow(launch, take_record, look, following);
  if (all) launch_follow_rest(launch, take_record, look, following);
  end_look(following);
  launch_drain(launch, take_record, following); /* reads the records of processes that have just ended, too */
  ends_look(following->ends);
  ends_look(following->ends); /* a process that had ended at the first look is entered at the second */
  model_finish(following->model, launch->status);
}

/* ---- Files ---- */

static gboolean write_stdout(const GString *text) {
  return fwrite(text->str, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
}

static gboolean write_file(const char *path, GString *(*make)(const struct tree *), const struct tree *tree) {
  if (path == NULL) return TRUE;
  GString *text = make(tree);
  gboolean written = strcmp(path, "-") == 0 ? write_stdout(text) : output_write(path, text);
  g_string_free(text, TRUE);
  return written;
}

static gboolean write_files(const struct options *options, const struct tree *tree) {
  gboolean json = write_file(options->json, tree_json, tree);
  gboolean html = write_file(options->html, tree_html, tree);
  return write_file(options->trace, tree_trace, tree) && json && html;
}

/* ---- The command line ---- */

static int misused(const char *what) {
  g_printerr("atfork tree: %s\n", what);
  return STATUS_TROUBLE;
}

/* Where the text is written; -1: nowhere, as with --json, --html or --trace only --output asks for it. */
static int open_output(const struct options *options) {
  if (g_strcmp0(options->output, "-") == 0) return STDOUT_FILENO;
  if (options->output != NULL) return open(options->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  return options->json != NULL || options->html != NULL || options->trace != NULL ? -1 : STDERR_FILENO;
}

static guint count_stdout(const struct options *options) {
  const char *const paths[] = {options->json, options->html, options->trace, options->output};
  guint count = 0;
  for (guint i = 0; i < G_N_ELEMENTS(paths); i++) count += g_strcmp0(paths[i], "-") == 0;
  return count;
}

static int run(const struct options *options, char **command) {
  if (count_stdout(options) > 1) return misused("only one of --json, --html, --trace and --output can go to stdout");
  if (!output_is_possible(options->json) || !output_is_possible(options->html) || !output_is_possible(options->trace))
    return STATUS_TROUBLE;
  int fd = open_output(options);
  if (fd < 0 && options->output != NULL) {
    g_printerr("atfork tree: --output: %s: %s\n", options->output, g_strerror(errno));
    return STATUS_TROUBLE;
  }
  struct launch launch = {.path = NULL};
  int status = launch_begin(&launch, command, &(struct log_header){.flags = WATCH_FORKS});
  if (status != 0) return status;
  signal(SIGPIPE, SIG_IGN); /* the reader of the text may end before the command */
  output_survive_limit();
  signal(SIGTTOU, SIG_IGN); /* the command may be a shell, which takes the terminal for itself */
  struct following following = {.model = model_new(launch.pid)};
  following.ends = ends_new(following.model);
  if (fd >= 0) following.text = tree_text_new(following.model, fd);
  follow(&following, &launch, options->all);
  status = launch_exit_status(&launch, process_unwatched(following.model->root));
  gboolean written = following.text == NULL || tree_text_finish(following.text);
  written = write_files(options, &(struct tree){following.model, command, status}) && written;
  if (following.text != NULL) tree_text_free(following.text);
  ends_free(following.ends);
  launch_finish(&launch);
  model_free(following.model);
  return written ? status : STATUS_TROUBLE;
}

int tree_main(int argc, char **argv) {
  struct options options = {.json = NULL};
  const GOptionEntry entries[] = {
      {"json", 0, 0, G_OPTION_ARG_FILENAME, &options.json, "Write the tree as JSON to FILE (-: stdout)", "FILE"},
      {"html", 0, 0, G_OPTION_ARG_FILENAME, &options.html, "Write a page with a timeline to FILE (-: stdout)", "FILE"},
      {"trace", 0, 0, G_OPTION_ARG_FILENAME, &options.trace,
       "Write a trace for Perfetto and chrome://tracing to FILE (-: stdout)", "FILE"},
      {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options.output,
       "Write the text to FILE (-: stdout) instead of stderr. With --json, --html or --trace, there is a text only if "
       "this option is given",
       "FILE"},
      {"all", 'a', 0, G_OPTION_ARG_NONE, &options.all,
       "Go on until each process below the command has ended, or until SIGINT", NULL},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
  };
  g_autoptr(GOptionContext) context = g_option_context_new("-- COMMAND [ARGUMENT...]");
  g_option_context_set_summary(context, "Runs a command, and shows each process that it makes, and how.");
  g_option_context_set_strict_posix(context, TRUE);
  g_option_context_add_main_entries(context, entries, NULL);
  g_autoptr(GError) error = NULL;
  if (!g_option_context_parse(context, &argc, &argv, &error)) return misused(error->message);
  if (argc > 1 && strcmp(argv[1], "--") == 0) argv++, argc--;
  if (argc < 2) return misused("a command is needed: atfork tree -- COMMAND");
  int status = run(&options, argv + 1);
  g_free(options.json);
  g_free(options.html);
  g_free(options.trace);
  g_free(options.output);
  return status;
}

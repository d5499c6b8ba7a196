/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <string.h>

#include "launch.h"
#include "model.h"

static void take_record(const struct record *record, gpointer data) {
  model_add(data, record);
}

static void print_process(const struct process *process, guint depth) {
  g_autofree char *end = process_ending(process);
  g_printerr("%*s%s %d %s by \"%s\": %s, %s\n", (int)depth * 2, "", process->lineage, process->pid,
             how_name(process->how), process->thread, process->program, end);
  for (guint i = 0; i < process->children->len; i++) print_process(g_ptr_array_index(process->children, i), depth + 1);
}

int tree_main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--") == 0) argv++, argc--;
  struct launch launch = {.path = NULL};
  int status = launch_begin(&launch, argv + 1, &(struct log_header){.flags = WATCH_FORKS});
  if (status != 0) return status;
  struct model *model = model_new(launch.pid);
  launch_follow(&launch, take_record, NULL, model);
  launch_drain(&launch, take_record, model);
  model_finish(model, launch.status);
  print_process(model->root, 0);
  launch_finish(&launch);
  status = launch_exit_status(&launch, process_unwatched(model->root) == NULL);
  model_free(model);
  return status;
}

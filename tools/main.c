/* SPDX-License-Identifier: MIT */
/* atfork: show every fork, and find what forks break. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "explore.h"
#include "launch.h"
#include "run.h"
#include "tree.h"

static const struct {
  const char *name;
  int (*main)(int argc, char **argv);
  const char *what;
} commands[] = {
    {"tree", tree_main, "show each process that a command makes, and how"},
    {"doctor", doctor_main, "run a command, and report what forks break in it"},
    {"explore", explore_main, "fork at a command's lock operations, and report where a child hangs"},
    {"run", run_main, "run a command with its fork handlers as hooks (--adopt)"},
};

static void usage(FILE *stream) {
  fprintf(stream, "atfork: shows every fork of a command, and finds what forks break\n\n");
  for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
    fprintf(stream, "  atfork %-8s [OPTION...] -- COMMAND [ARGUMENT...]   %s\n", commands[i].name, commands[i].what);
  fprintf(stream, "\n  atfork COMMAND --help shows the options of a command; atfork --version shows the version.\n");
}

/* At exit, as GLib exits by itself after --help. */
static void check_stdout(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return;
  g_printerr("atfork: stdout cannot be written\n");
  _exit(STATUS_TROUBLE);
}

/* If a standard stream is closed, the next file that is opened would take its number, and get messages.  What is put
 * there instead cannot be written either, and the command does not inherit it. */
static void fill_standard_streams(void) {
  int fd;
  do fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

int main(int argc, char **argv) {
  fill_standard_streams();
  setlocale(LC_ALL, "");
  setlocale(LC_NUMERIC, "C"); /* numbers in JSON have a point */
  atexit(check_stdout);
  if (argc < 2) {
    usage(stderr);
    return STATUS_TROUBLE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    usage(stdout);
    return 0;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("atfork %s\n", VERSION);
    return 0;
  }
  for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
    if (strcmp(argv[1], commands[i].name) != 0) continue;
    g_autofree char *name = g_strconcat("atfork ", argv[1], NULL);
    g_set_prgname(name); /* in what --help says */
    return commands[i].main(argc - 1, argv + 1);
  }
  fprintf(stderr, "atfork: no such command: %s\n", argv[1]);
  usage(stderr);
  return STATUS_TROUBLE;
}

/* SPDX-License-Identifier: MIT */
/* Programs that tests run, on Windows. */
#define WIN32_LEAN_AND_MEAN
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <windows.h>

#include "programs.h"

/* The C runtime's and the system's. */
void set_variable(const char *name, const char *value) {
  if (_putenv_s(name, value == NULL ? "" : value) != 0) abort();
}

/* Is gone when all descriptors of it are closed. */
int open_temporary(void) {
  char *path = _tempnam(NULL, "atfork");
  int file = path == NULL ? -1
                          : _open(path, _O_RDWR | _O_CREAT | _O_EXCL | _O_TEMPORARY | _O_BINARY | _O_NOINHERIT,
                                  _S_IREAD | _S_IWRITE);
  free(path);
  return file;
}

/* A program gets one line, which it takes apart itself: each argument in quotes; none has one in it. */
static char *quoted(const char *argument) {
  char *text = malloc(strlen(argument) + 3);
  if (text == NULL || strchr(argument, '"') != NULL) abort();
  sprintf(text, "\"%s\"", argument);
  return text;
}

/* The program has what this process has: so it is this process's for that time. */
static int swap(int descriptor, int with) {
  int kept = _dup(descriptor);
  if (kept < 0 || _dup2(with, descriptor) != 0) abort();
  return kept;
}

static void swap_back(int descriptor, int kept) {
  _dup2(kept, descriptor);
  _close(kept);
}

int open_pipe(int ends[2]) {
  return _pipe(ends, 1 << 16, _O_BINARY | _O_NOINHERIT);
}

intptr_t start_program(const char *const *arguments, int out, int err) {
  char *line[16] = {NULL};
  for (size_t i = 0; arguments[i] != NULL; i++) {
    if (i + 1 == sizeof line / sizeof line[0]) abort();
    line[i] = quoted(arguments[i]);
  }
  fflush(NULL);
  int kept_out = swap(1, out), kept_err = swap(2, err);
  intptr_t started = _spawnv(_P_NOWAIT, arguments[0], (const char *const *)line);
  swap_back(2, kept_err);
  swap_back(1, kept_out);
  for (size_t i = 0; line[i] != NULL; i++) free(line[i]);
  return started;
}

int wait_for_program(intptr_t started) {
  HANDLE process = (HANDLE)started;
  DWORD status;
  if (started == -1) return -1;
  bool ended = WaitForSingleObject(process, INFINITE) == WAIT_OBJECT_0 && GetExitCodeProcess(process, &status);
  CloseHandle(process);
  return ended ? (int)status : -1;
}

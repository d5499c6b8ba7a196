/* SPDX-License-Identifier: MIT */
/* Gives a target the files of a directory, by their names; without libFuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "target.h"

enum { LARGEST = 1 << 16 };

static _Noreturn void give_up(const char *name) {
  perror(name);
  exit(2);
}

static int is_visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

static void feed(const char *name) {
  static uint8_t bytes[LARGEST];
  FILE *file = fopen(name, "rb");
  if (file == NULL) give_up(name);
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  printf("%s\n", name);
  fflush(stdout);
  LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv) {
  struct dirent **entries;
  LLVMFuzzerInitialize(&argc, &argv);
  int count = argc == 2 && chdir(argv[1]) == 0 ? scandir(".", &entries, is_visible, alphasort) : -1;
  if (count <= 0) give_up(argc == 2 ? argv[1] : "a directory is missing");
  for (int i = 0; i < count; i++) {
    feed(entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  printf("%d inputs\n", count);
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* After Alexays/Waybar#2182: a thread waits for a line, and has the stream's lock; fork() makes that one anew. */
/* finds: nothing */
#include "../program.h"

static FILE *input;
static struct gate begun;

static void *reader(void *unused) {
  char line[80];
  gate_open(&begun);
  must(fgets(line, sizeof line, input) != NULL);
  return unused;
}

int main(void) {
  int ends[2];
  pthread_t thread;
  must(pipe2(ends, O_CLOEXEC) == 0 && (input = fdopen(ends[0], "r")) != NULL);
  gate_make(&begun);
  must(pthread_create(&thread, NULL, reader, NULL) == 0);
  gate_wait(&begun);
  fork_once(go_on);
  must(write(ends[1], "a line\n", 7) == 7);
  pthread_join(thread, NULL);
  return 0;
}

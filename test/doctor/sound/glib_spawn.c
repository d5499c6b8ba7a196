/* SPDX-License-Identifier: MIT */
/* After dlang/dmd#21842: a library starts other programs beside a thread of its own; here GLib. */
/* finds: nothing */
/* needs: glib-2.0 */
#include <glib.h>

#include "../program.h"

int main(void) {
  struct stayer other;
  char *output = NULL;
  char *arguments[] = {(char[]){"echo"}, (char[]){"ready"}, NULL};
  stayer_start(&other, NULL, NULL);
  must(g_spawn_sync(NULL, arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, NULL, NULL));
  must(strcmp(output, "ready\n") == 0);
  g_free(output);
  stayer_end(&other);
  return 0;
}

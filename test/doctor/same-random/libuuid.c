/* SPDX-License-Identifier: MIT */
/* After util-linux/util-linux#3009: random UUIDs of libuuid are the kernel's. */
/* finds: nothing */
/* needs: uuid */
#include "draw.h"

#include <uuid.h>

static void print(const char *who) {
  uuid_t uuid;
  char text[37];
  uuid_generate_random(uuid);
  uuid_unparse(uuid, text);
  printf("%s %s\n", who, text);
}

int main(void) {
  print("before");
  fflush(stdout);
  return draw_in_both(print);
}

/* SPDX-License-Identifier: MIT */
/* After util-linux/util-linux#3009: random UUIDs of libuuid are the kernel's. */
/* finds: nothing */
/* needs: uuid */
#include "../program.h"

#include <uuid.h>

static void print_uuid(const char *who) {
  uuid_t uuid;
  char text[37];
  uuid_generate_random(uuid);
  uuid_unparse(uuid, text);
  printf("%s %s\n", who, text);
  fflush(stdout);
}

int main(void) {
  print_uuid("before");
  pid_t child = fork();
  if (child == 0) {
    print_uuid("child");
    _exit(0);
  }
  wait_for(child);
  print_uuid("parent");
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* After uuid6/uuid6-ietf-draft#114: each number is asked of the kernel. */
/* finds: nothing */
#include "../program.h"

static void print_key(const char *who) {
  unsigned key;
  must(getrandom(&key, sizeof key, 0) == sizeof key);
  printf("%s %x %x\n", who, key, arc4random());
}

int main(void) {
  print_key("before");
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    print_key("child");
    fflush(stdout);
    _exit(0);
  }
  wait_for(child);
  print_key("parent");
  return 0;
}

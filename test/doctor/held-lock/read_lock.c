/* SPDX-License-Identifier: MIT */
/* After FEX-Emu/FEX#1681: a reader is lost, and the child goes on. */
/* finds: held-lock */
#include "../program.h"

static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;

static void look(void) {
  pthread_rwlock_rdlock(&table);
}

static void have_looked(void) {
  pthread_rwlock_unlock(&table);
}

int main(void) {
  fork_beside(look, have_looked, go_on);
  return 0;
}

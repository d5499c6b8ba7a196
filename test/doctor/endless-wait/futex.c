/* SPDX-License-Identifier: MIT */
/* After h2oai/datatable#1758: a future waits by a futex, as those of C++, for a result that a lost thread was to give.
 */
/* finds: endless-wait, note lost-thread */
#include "../program.h"

#include <linux/futex.h>
#include <stdatomic.h>

static _Atomic int result;

static void give(void) {
  atomic_store(&result, 1);
  syscall(SYS_futex, &result, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await(void) {
  while (atomic_load(&result) == 0) syscall(SYS_futex, &result, FUTEX_WAIT, 0, NULL, NULL, 0);
}

int main(void) {
  struct stayer worker;
  stayer_start(&worker, NULL, give);
  pid_t child = fork();
  if (child == 0) {
    alarm(HANGS);
    await();
    _exit(0);
  }
  wait_for(child);
  stayer_end(&worker);
  await();
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* After h2oai/datatable#1758: the child gives work to a pool whose worker is lost. */
/* finds: lost-waiter */
#include "worker.h"

int main(void) {
  fork_beside_worker(wake_worker);
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* After greenbone/openvas-scanner#491: both processes write to the system's log. */
/* finds: nothing */
#include <syslog.h>

#include "../program.h"

int main(void) {
  openlog("doctor", LOG_NDELAY, LOG_USER);
  syslog(LOG_DEBUG, "before the fork");
  pid_t child = fork();
  if (child == 0) {
    syslog(LOG_DEBUG, "child");
    _exit(0);
  }
  syslog(LOG_DEBUG, "parent");
  wait_for(child);
  return 0;
}

/* SPDX-License-Identifier: MIT */
/* How a process of a program ends. */
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "runner.h"

enum { LAST = -1 };

void (*before_the_end)(void);

static _Noreturn void leave(void) {
  if (before_the_end != NULL) before_the_end();
  _exit(0);
}

void do_exit(const int *unused) {
  (void)unused;
  say("will exit");
  runner.exits = true;
}

void do_at_exit(const int *arguments) {
  enum { MOST = 8 };
  if (runner.at_exit_count++ < MOST) runner.api->at_exit(arguments[0]);
}

void begin_to_end(void) {
  runner.api->at_exit(LAST);
}

/* Behind the ends of all shared objects the program's own hooks have gone; what belongs to none is still called. */
void run_at_exit(int script) {
  say("at exit");
  say_hooks();
  run_script(script == LAST ? SCRIPTS : script);
  if (script == LAST) leave();
}

/* Not from inside a callback, which must return. */
_Noreturn void finish(void) {
  say_generation();
  say_lineage();
  say("poll: %d", runner.api->poll());
  say_hooks();
  if (!runner.exits || runner.nesting > 0) leave();
  runner.is_exiting = true;
  runner.api->end();
  abort();
}

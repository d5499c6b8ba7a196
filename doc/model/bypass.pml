/* SPDX-License-Identifier: MIT */
/* A bypassing fork in the middle of another thread's update; the child polls, and uses everything. */
#define HOOKS 2
#define SLOTS 4
#define FRAMES 2
#define GENERATION 0
#define DISPATCHED 0
#define START skip
#define callback(phase, h) skip

#include "state.pml"
#include "registry.pml"
#include "fork.pml"

inline script_1() {
  call(BYPASSING_FORK);
  if
  :: process > 0 ->
     if
     :: true -> fork_catch_up()
     :: true
     fi;
     atfork_register(x);
     atfork_unregister(1);
     call(FORK);
     fork_catch_up();
     atfork_foreach()
  :: else
  fi
}

inline script_2() {
  atfork_unregister(0);
  atfork_register(x)
}

#include "run.pml"

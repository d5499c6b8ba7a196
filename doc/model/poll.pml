/* SPDX-License-Identifier: MIT */
/* The child of a bypassing fork: a thread polls or forks, while another registers, unregisters, and polls. */
#define HOOKS 2
#define SLOTS 3
#define FRAMES 2
#define GENERATION 1
#define DISPATCHED 1
#define START skip
#define callback(phase, h) skip

#include "state.pml"
#include "registry.pml"
#include "fork.pml"

inline script_1() {
  if
  :: true -> fork_catch_up()
  :: true -> call(FORK)
  fi
}

inline script_2() {
  if
  :: process == 0 ->
     atfork_register(x);
     atfork_unregister(0);
     fork_catch_up();
     atfork_foreach()
  :: else
  fi
}

#include "run.pml"

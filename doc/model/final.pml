/* SPDX-License-Identifier: MIT */
/* A thread forks while another unregisters and registers; then the child uses everything. */
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
  call(FORK);
  if
  :: process > 0 ->
     fork_catch_up();
     atfork_unregister(1);
     atfork_register(x);
     atfork_foreach()
  :: else
  fi
}

inline script_2() {
  atfork_unregister(0);
  atfork_register(x)
}

#include "run.pml"

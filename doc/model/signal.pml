/* SPDX-License-Identifier: MIT */
/* A signal handler forks, either way, at any step of a thread, while another unregisters a hook. */
#define HOOKS 2
#define SLOTS 3
#define FRAMES 2
#define GENERATION 1
#define DISPATCHED 1
#define START \
  if \
  :: run Signal(1, FORK) \
  :: run Signal(1, BYPASSING_FORK) \
  fi
#define callback(phase, h) skip

#include "state.pml"
#include "registry.pml"
#include "fork.pml"

inline script_1() {
#ifdef IN_A_FORK
  call(FORK);
#else
  if
  :: true -> atfork_register(x)
  :: true -> atfork_unregister(0)
  :: true -> fork_catch_up()
  fi;
#endif
  /* What ends inside an interrupted update falls to the end of the next walk. */
  blocked = true;
  fork_catch_up();
  atfork_foreach()
}

inline script_2() {
  atfork_unregister(1)
}

#include "run.pml"

/* SPDX-License-Identifier: MIT */
/* Two threads fork; a callback of the first one's fork unregisters its own hook, or the other. */
#define HOOKS 2
#define SLOTS 2
#define FRAMES 2
#define GENERATION 0
#define DISPATCHED 0
#define START skip

bool asked;
#define callback(phase, h) \
  if \
  :: t == 1 && h == 0 && !asked -> \
     asked = true; \
     fork_enter(); \
     if \
     :: true -> registry_retire(0, 1) \
     :: true -> registry_retire(1, 1) \
     fi; \
     r = 0 \
  :: true \
  fi

#include "state.pml"
#include "registry.pml"
#include "fork.pml"

inline script_1() {
  call(FORK)
}

inline script_2() {
  call(FORK)
}

#include "run.pml"

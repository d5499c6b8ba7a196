/* SPDX-License-Identifier: MIT */
/* A fork inside a callback; its child starts a thread, which unregisters while the outer fork goes on there. */
#define HOOKS 2
#define SLOTS 2
#define FRAMES 3
#define GENERATION 0
#define DISPATCHED 0
#define START skip

bool forked;

#define callback(phase, h) \
  if \
  :: t == 1 && h == 0 && !forked -> \
     forked = true; \
     call(FORK); \
     start_thread() \
  :: true \
  fi

#include "state.pml"

inline start_thread() {
  atomic {
    if
    :: process == 1 ->
       scripts++;
       r = run Script2(2);
       thread_of[r] = 2;
       turn[2] = r;
       r = 0
    :: else
    fi
  }
}

#include "registry.pml"
#include "fork.pml"

inline script_1() {
  call(FORK)
}

inline script_2() {
  if
  :: process > 0 -> atfork_unregister(1)
  :: else
  fi
}

#include "run.pml"

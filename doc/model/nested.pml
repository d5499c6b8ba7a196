/* SPDX-License-Identifier: MIT */
/* A callback unregisters the other hook, forks, or polls, in any order of any two of these. */
#define HOOKS 2
#define SLOTS 2
#define FRAMES 4
#define GENERATION 0
#define DISPATCHED 0
#define START skip

byte steps;
#define callback(phase, h) \
  do \
  :: h == 0 && steps < 2 -> \
     steps++; \
     fork_enter(); \
     if \
     :: true -> registry_retire(1, 1); r = 0 \
     :: true -> call(FORK) \
     :: true -> call(BYPASSING_FORK) \
     :: true -> call(POLL) \
     fi \
  :: true -> break \
  od

#include "state.pml"
#include "registry.pml"
#include "fork.pml"

inline script_1() {
  call(FORK);
  /* A poll may itself be left unfinished by a bypassing fork: there are at most two. */
  for (x : 0 .. 2) {
    fork_catch_up()
  }
  x = 0;
  atfork_foreach()
}

inline script_2() {
  skip
}

#include "run.pml"

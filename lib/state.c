/* SPDX-License-Identifier: MIT */
#include "state.h"

struct state atfork_state = {
    .process = {.identity[0] = {.length = 1, .lineage = "0"}, .latest = &atfork_state.process.identity[0]},
};

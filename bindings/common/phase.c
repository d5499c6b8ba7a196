/* SPDX-License-Identifier: MIT */
#include "phase.h"

const char *const phase_names[PHASES] = {"prepare", "parent", "child"};

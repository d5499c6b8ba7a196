/* SPDX-License-Identifier: MIT */
/* Makes a program shorter that shows a difference, as long as it still does. */
#ifndef ATFORK_FUZZ_SHRINK_H
#define ATFORK_FUZZ_SHRINK_H

#include <stdbool.h>

#include "ops.h"

void shrink(struct program *program, bool (*differs)(const struct program *program));

#endif

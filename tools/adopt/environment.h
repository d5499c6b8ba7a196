/* SPDX-License-Identifier: MIT */
/* What `atfork run --adopt` tells the library that it loads into the program. */
#ifndef ATFORK_ADOPT_ENVIRONMENT_H
#define ATFORK_ADOPT_ENVIRONMENT_H

/* Lines "PRIORITY PATTERN", of which the first that matches counts. */
#define ADOPT_PRIORITIES "ATFORK_ADOPT_PRIORITIES"

/* Which child handlers run in the child of a bypassing fork: ADOPT_UNPAIRED, ADOPT_ALL, ADOPT_NONE. */
#define ADOPT_BYPASSING "ATFORK_ADOPT_BYPASSING"
#define ADOPT_UNPAIRED "unpaired"
#define ADOPT_ALL "all"
#define ADOPT_NONE "none"

#endif

/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_EXPLORE_H
#define ATFORK_EXPLORE_H

int explore_main(int argc, char **argv);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_RUN_H
#define ATFORK_RUN_H

int run_main(int argc, char **argv);

#endif

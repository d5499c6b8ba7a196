/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_TREE_H
#define ATFORK_TREE_H

int tree_main(int argc, char **argv);

#endif

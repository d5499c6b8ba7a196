/* SPDX-License-Identifier: MIT */
#ifndef ATFORK_RUBY_PROCESS_H
#define ATFORK_RUBY_PROCESS_H

void process_init(void);

#endif

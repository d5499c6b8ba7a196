/* SPDX-License-Identifier: MIT */
/*
 * What the public functions about this process do, those of atfork.h that have the same names.
 */
#ifndef ATFORK_SELF_H
#define ATFORK_SELF_H

#include <stddef.h>
#include <stdint.h>

uint64_t atfork_self_generation(void);
int atfork_self_lineage(char *buf, size_t size);
uint64_t atfork_self_seed(uint64_t base);
int atfork_self_poll(void);
int atfork_self_token(char *buf, size_t size);
int atfork_self_spawned(const char *token);
const uint64_t *atfork_self_mark(void);

#endif

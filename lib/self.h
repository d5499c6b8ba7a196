/* SPDX-License-Identifier: MIT */
/*
 * What the public functions about this process do, those of atfork.h that have the same names.
 */
#ifndef ATFORK_SELF_H
#define ATFORK_SELF_H

#include <stddef.h>
#include <stdint.h>

uint64_t self_generation(void);
int self_lineage(char *buf, size_t size);
uint64_t self_seed(uint64_t base);
int self_poll(void);
int self_token(char *buf, size_t size);
int self_spawned(const char *token);
const uint64_t *self_mark(void);

#endif

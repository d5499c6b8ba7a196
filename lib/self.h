/* SPDX-License-Identifier: MIT */
/*
 * The public functions about this process, for the table in service.c: each is that of atfork.h with the same name.
 */
#ifndef ATFORK_SELF_H
#define ATFORK_SELF_H

#include <stddef.h>
#include <stdint.h>

#include "atfork.h"

uint64_t atfork_self_generation(void);
int atfork_self_lineage(char *buf, size_t size);
enum atfork_place atfork_self_place(void);
uint64_t atfork_self_run(void);
uint64_t atfork_self_seed(uint64_t base);
void atfork_self_seed_bytes(uint64_t base, void *buf, size_t size);
int atfork_self_poll(void);
int atfork_self_token(char *buf, size_t size);
int atfork_self_child_token(const char *token, uint64_t n, char *buf, size_t size);
int atfork_self_spawned(const char *token);
int atfork_self_adopt(const char *rank);
int atfork_self_launcher(char *buf, size_t size);
const uint64_t *atfork_self_mark(void);

#endif

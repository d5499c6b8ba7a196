/* SPDX-License-Identifier: MIT */
/* Copies of the library, named by the object that has each; and a test of each pair, in a process of its own. */
#ifndef ATFORK_TEST_LOADING_H
#define ATFORK_TEST_LOADING_H

#include <atfork.h>
#include <stdbool.h>

#include "copy.h"

/* The program's own comes first, where it has one: NULL. */
extern const char *const places[];

/* Each ends a process that cannot have it. */
void *object_of(const char *place);
const struct copy *copy_in(void *object);
const struct copy *load(const char *place);
bool is_loaded(const char *place);

/* Calls body(), or the_case() by load_both(), when both have been loaded. */
extern const char *first_place, *second_place;
extern const struct copy *first, *second;
extern void (*the_case)(void);
void load_both(void);
void for_each_pair(void (*body)(void));

/* Hooks that note their letter in each callback, by this copy. */
extern char log_of_calls[32];
atfork_id add(const struct copy *of, int priority, const char *letter);
int note_name(const struct atfork_info *info, void *unused);
void check_log(const char *expected, const char *where);

void check_lineage(const struct copy *of, const char *expected);

/* Hooks of both are in one order. */
void order_case(void);

#endif

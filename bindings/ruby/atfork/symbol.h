/* SPDX-License-Identifier: MIT */
/* AtFork::Symbol: a C function that is used as a callable. */
#ifndef ATFORK_RUBY_SYMBOL_H
#define ATFORK_RUBY_SYMBOL_H

#include <ruby.h>

typedef void (*callback)(void *data);

/* The function, or NULL; and its argument. */
struct symbol {
  callback function;
  void *data;
};

/* Defines the class: `to_i` is the address of the function, `pointer` its data. */
void symbol_init(void);

/* The C function of a callable; none if it is a callable of Ruby. */
struct symbol symbol_of(VALUE callable);

#endif

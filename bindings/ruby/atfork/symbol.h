/* SPDX-License-Identifier: MIT */
/* AtFork::Symbol: a C function that stands where a callable may. */
#ifndef ATFORK_RUBY_SYMBOL_H
#define ATFORK_RUBY_SYMBOL_H

#include <ruby.h>

typedef void (*callback)(void *data);

/* The function, or NULL; and what it is called with. */
struct symbol {
  callback function;
  void *data;
};

/* Defines the class, whose objects say by `to_i` where the function is, and by `pointer` its data. */
void symbol_init(void);

/* What a callable stands for: no function, if it is one of Ruby's. */
struct symbol symbol_of(VALUE callable);

#endif

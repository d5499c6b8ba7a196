/* SPDX-License-Identifier: MIT */
/*
 * Hooks whose callbacks are Ruby's.  No Ruby is run from inside fork(), where the VM still believes in threads
 * that are gone.  atfork.rb runs the callbacks around Process._fork; where something else forks, what is due is noted
 * here, and a postponed job has it run as soon as the VM goes on.
 */
#ifndef ATFORK_RUBY_HOOKS_H
#define ATFORK_RUBY_HOOKS_H

#include <ruby.h>

/* callbacks: for prepare, parent and child each nil, true for a Ruby callable, or the address of a C function.
 * Returns the id. */
VALUE native_register(VALUE name, VALUE priority, VALUE callbacks);

/* True, or false if there is no such hook. */
VALUE native_unregister(VALUE id);

/* An array for each hook: id, name, priority, generation, and whether it has a prepare, parent, child. */
VALUE native_hooks(void);

/* The address of a C function, in a library that stays loaded; nil is the process itself. */
VALUE native_symbol(VALUE library, VALUE name);

/* Says that this thread is inside Process._fork, whose caller runs the callbacks itself. */
VALUE native_forking(VALUE yes);

/* Takes what is due: an array for each hook: id, whether its child is due, how often its parent is. */
VALUE native_due(void);

/* Has `callable` called, as soon as the VM can, when something is due. */
VALUE native_when_due(VALUE callable);

#endif

/* SPDX-License-Identifier: MIT */
/* AtFork::Native: what the Ruby part of the binding is written on.  SWIG wraps it as it stands here, without
 * "native_". */
#ifndef ATFORK_RUBY_NATIVE_H
#define ATFORK_RUBY_NATIVE_H

#ifndef SWIG
#include <ruby.h>

/* What each file has to do as the module is loaded. */
void hook_init(void);
void job_init(void);
void kept_init(void);
void symbol_init(void);
#endif

/* ---- hook.c ---- */

/* Makes a hook, and puts it into the Array `hooks`, which nobody else changes.  key: or nil; for prepare, parent and
 * child what is to be called, or nil, or an AtFork::Symbol. */
VALUE native_register(VALUE hooks, VALUE name, VALUE priority, VALUE key, VALUE prepare, VALUE parent, VALUE child);

/* Changes with each hook that is registered or removed. */
VALUE native_state(void);

/* Takes a hook out of the Array `hooks` and the Hash `keys`; false if it is not in `hooks`. */
VALUE native_remove(VALUE hooks, VALUE keys, VALUE hook);

VALUE native_is_registered(VALUE hook);

/* Puts it into `keys`; returns the hook that had its key there, or nil. */
VALUE native_claim(VALUE keys, VALUE hook);

/* True, or false if there is no such hook. */
VALUE native_unregister(VALUE hook);

/* Without waiting for anything: the forks under way end it.  For a finalizer. */
VALUE native_unregister_later(VALUE hook);

/* What Ruby has to call in the phase of that number, or nil. */
VALUE native_callable(VALUE hook, VALUE phase);

/* Runs what C has in the phase of that number, if anything. */
VALUE native_run_symbol(VALUE hook, VALUE phase);

/* Whether it has a prepare, of Ruby's or of C's. */
VALUE native_prepares(VALUE hook);

/* Takes what is due of these hooks: nil, or [those whose child is, those whose parent is, as often as it is]. */
VALUE native_take_due(VALUE hooks);

/* Has an object hold another, as an instance variable does. */
VALUE native_attach(VALUE owner, VALUE object);

/* ---- job.c ---- */

/* Has `callable` called, as soon as the VM can, when something is due. */
VALUE native_when_due(VALUE callable);

/* Process._fork as Ruby has it; the caller runs the callbacks. */
VALUE native_fork(void);

/* ---- kept.c ---- */

/* An object that stands for a value of this process: in those below it, the collector leaves the value alone
 * for as long as they live. */
VALUE native_keep(VALUE value);

/* What is done with that value is the caller's affair from here on. */
VALUE native_let_go(VALUE kept);

/* The values that processes above this one made, and nobody has let go of here. */
VALUE native_inherited(void);

/* ---- reach.c, at the end of a process ---- */

/* An Array of these values and what they refer to: not by way of classes, of objects of `classes`, or of `shared`. */
VALUE native_reachable(VALUE values, VALUE classes, VALUE shared);

/* ---- kept.c, at the end of a process ---- */

/* For an Array of objects: nothing that was defined runs when they go. */
VALUE native_undefine_finalizers(VALUE objects);

/* Takes from them what Ruby would free, flush or close as it ends; they are of no use after that. */
VALUE native_empty(VALUE objects);

/* ---- list.c ---- */

/* An Array for each hook of the process: id, name, priority, generation, and whether it has a prepare, parent,
 * child. */
VALUE native_hooks(void);

/* ---- symbol.c ---- */

/* The address of a C function, in a library that stays loaded; nil is the process itself. */
VALUE native_symbol(VALUE library, VALUE name);

/* Has the library of that address stay loaded; false if it is in none, as a closure is. */
VALUE native_keep_library(VALUE address);

#endif

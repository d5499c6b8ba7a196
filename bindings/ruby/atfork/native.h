/* SPDX-License-Identifier: MIT */
/* AtFork::Native: functions in C for the Ruby part of the binding.  SWIG wraps them, without the prefix "native_". */
#ifndef ATFORK_RUBY_NATIVE_H
#define ATFORK_RUBY_NATIVE_H

#ifndef SWIG
#include <ruby.h>

/* Initialisation of each file, when the module is loaded. */
void hook_init(void);
void job_init(void);
void kept_init(void);
void symbol_init(void);
#endif

/* ---- hook.c ---- */

/* Makes a hook, and adds it to the Array `hooks` and the Hash `keys`, which only these functions change.  key may be
 * nil; prepare, parent and child are callables, AtFork::Symbols or nil.  Returns [the hook, the hook with an equal key
 * that it has replaced there, or nil]. */
VALUE native_register(VALUE hooks, VALUE keys, VALUE name, VALUE priority, VALUE key, VALUE prepare, VALUE parent,
                      VALUE child);

/* Changes with each hook that is registered or removed. */
VALUE native_state(void);

VALUE native_is_registered(VALUE hook);

/* Takes a hook out of both and of the core; false if it is not there. */
VALUE native_unregister(VALUE hooks, VALUE keys, VALUE hook);

/* The same, but does not wait: forks under way end the hook.  For a finalizer. */
VALUE native_unregister_later(VALUE hooks, VALUE keys, VALUE hook);

/* The callable of the phase with this number, or nil. */
VALUE native_callable(VALUE hook, VALUE phase);

/* Runs the C function of the phase with this number, if there is one. */
VALUE native_run_symbol(VALUE hook, VALUE phase);

/* Whether it has a prepare, in Ruby or in C. */
VALUE native_prepares(VALUE hook);

/* Takes the due callbacks of these hooks: nil, or [hooks whose child is due, hooks whose parent is due, each as often
 * as it is due]. */
VALUE native_take_due(VALUE hooks);

/* Makes one object refer to another, as by an instance variable. */
VALUE native_attach(VALUE owner, VALUE object);

/* ---- job.c ---- */

/* When a callback becomes due, `callable` is called as soon as the VM can. */
VALUE native_when_due(VALUE callable);

/* Ruby's own Process._fork; the caller runs the callbacks. */
VALUE native_fork(void);

/* ---- kept.c ---- */

/* An object that refers to a value of this process: in descendants of this process, the collector never frees the
 * value. */
VALUE native_keep(VALUE value);

/* From here on the value is an ordinary object again. */
VALUE native_let_go(VALUE kept);

/* The values of ancestors of this process that were not released here. */
VALUE native_inherited(void);

/* ---- reach.c, at the end of a process ---- */

/* An Array of these values and all objects that they refer to, but not through classes, objects of `classes`, or
 * `shared`. */
VALUE native_reachable(VALUE values, VALUE classes, VALUE shared);

/* ---- kept.c, at the end of a process ---- */

/* For an Array of objects: their finalizers will not run. */
VALUE native_undefine_finalizers(VALUE objects);

/* Takes away what Ruby would free, flush or close at its end; the objects are unusable after that. */
VALUE native_empty(VALUE objects);

/* ---- list.c ---- */

/* An Array for each hook of the process: id, name, priority, generation, and whether it has a prepare, parent,
 * child. */
VALUE native_hooks(void);

/* ---- symbol.c ---- */

/* The address of a C function, in a library that stays loaded; nil is the process itself. */
VALUE native_symbol(VALUE library, VALUE name);

/* Keeps the library of this address loaded; false: it is in no library, as a closure is. */
VALUE native_keep_library(VALUE address);

#endif

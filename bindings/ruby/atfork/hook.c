/* SPDX-License-Identifier: MIT */
/*
 * AtFork::Hook: an object of Ruby, and the functions that the core calls for it.  Both share one struct with a
 * reference count: the core may be in the middle of a fork when the object is collected.
 */
#include <atfork.h>
#include <errno.h>
#include <ruby.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "due.h"
#include "job.h"
#include "native.h"
#include "phase.h"
#include "symbol.h"

/* Ruby's values are read only with the GVL and the object; inside fork() only the other members are read. */
struct hook {
  _Atomic int references; /* of the object and of the core */
  int priority;
  atfork_id id;
  long index; /* in the Array of all; -1: it is not there */
  VALUE name;
  VALUE key;               /* nil, or the key; a hook with an equal key replaces it */
  VALUE hash;              /* of the key, a Fixnum; nil: it has no key */
  VALUE callables[PHASES]; /* nil: none.  May be an AtFork::Symbol */
  due_word due;
  bool has_symbols;
  struct symbol symbols[]; /* PHASES of them; none if no callback is in C */
};

static VALUE hook_class;

/* ---- The object ---- */

static void release(struct hook *hook) {
  if (atomic_fetch_sub(&hook->references, 1) == 1) free(hook);
}

static void mark(void *data) {
  const struct hook *hook = data;
  rb_gc_mark_movable(hook->name);
  rb_gc_mark_movable(hook->key);
  for (enum phase phase = PREPARE; phase < PHASES; phase++) rb_gc_mark_movable(hook->callables[phase]);
}

static void compact(void *data) {
  struct hook *hook = data;
  hook->name = rb_gc_location(hook->name);
  hook->key = rb_gc_location(hook->key);
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    hook->callables[phase] = rb_gc_location(hook->callables[phase]);
}

static void free_object(void *data) {
  release(data);
}

static size_t memory_size(const void *data) {
  (void)data;
  return sizeof(struct hook);
}

static const rb_data_type_t type = {
    .wrap_struct_name = "AtFork::Hook",
    .function = {.dmark = mark, .dfree = free_object, .dsize = memory_size, .dcompact = compact},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED,
};

static struct hook *hook_of(VALUE object) {
  return rb_check_typeddata(object, &type);
}

/* Runs the C function of this phase. */
static struct symbol symbol_in(const struct hook *hook, enum phase phase) {
  return hook->has_symbols ? hook->symbols[phase] : (struct symbol){NULL, NULL};
}

/* Whether that callback is Ruby's. */
static bool is_scripted(const struct hook *hook, enum phase phase) {
  return symbol_in(hook, phase).function == NULL && !NIL_P(hook->callables[phase]);
}

static VALUE hook_id(VALUE self) {
  return ULL2NUM(hook_of(self)->id);
}

static VALUE hook_name(VALUE self) {
  return hook_of(self)->name;
}

static VALUE hook_priority(VALUE self) {
  return INT2NUM(hook_of(self)->priority);
}

static VALUE hook_key(VALUE self) {
  return hook_of(self)->key;
}

void hook_init(void) {
  hook_class = rb_define_class_under(rb_define_module("AtFork"), "Hook", rb_cObject);
  rb_gc_register_mark_object(hook_class);
  rb_undef_alloc_func(hook_class);
  rb_undef_method(rb_singleton_class(hook_class), "new");
  rb_define_method(hook_class, "id", hook_id, 0);
  rb_define_method(hook_class, "name", hook_name, 0);
  rb_define_method(hook_class, "priority", hook_priority, 0);
  rb_define_method(hook_class, "key", hook_key, 0);
}

/* ---- Inside fork() ---- */

static void on_destroy(void *hook) {
  release(hook);
}

/* Ruby's own prepare runs before fork(), or not at all. */
static void no_prepare(void *hook) {
  (void)hook;
}

static void note(struct hook *hook, enum phase phase) {
  due_add(&hook->due, due_mark(), phase, false);
  job_post();
}

/* If prepare could not run, parent does not run either. */
static void due_parent(void *hook) {
  if (job_is_wanted() && !is_scripted(hook, PREPARE)) note(hook, PARENT);
}

/* In the child of Process._fork this does not read the hook: with many hooks, each would cost a cache miss. */
static void due_child(void *hook) {
  if (job_is_wanted()) note(hook, CHILD);
}

static void run_symbol(const struct hook *hook, enum phase phase) {
  struct symbol symbol = symbol_in(hook, phase);
  if (symbol.function != NULL) symbol.function(symbol.data);
}

static void on_prepare(void *hook) {
  run_symbol(hook, PREPARE);
}

static void on_parent(void *hook) {
  run_symbol(hook, PARENT);
}

static void on_child(void *hook) {
  run_symbol(hook, CHILD);
}

/* All callbacks are C functions with the same data: the core calls them directly, as if C had registered them. */
static bool is_direct(const struct hook *hook, void **data) {
  bool first = true;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    if (NIL_P(hook->callables[phase])) continue;
    if (is_scripted(hook, phase) || (!first && hook->symbols[phase].data != *data)) return false;
    *data = hook->symbols[phase].data;
    first = false;
  }
  return true;
}

static struct atfork_hook direct_hook(const struct hook *hook, void *data) {
  return (struct atfork_hook){
      .prepare = hook->symbols[PREPARE].function,
      .parent = hook->symbols[PARENT].function,
      .child = hook->symbols[CHILD].function,
      .data = data,
  };
}

static struct atfork_hook scripted_hook(struct hook *hook) {
  const callback scripted[PHASES] = {no_prepare, due_parent, due_child};
  const callback symbols[PHASES] = {on_prepare, on_parent, on_child};
  callback chosen[PHASES] = {NULL};
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    if (!NIL_P(hook->callables[phase])) chosen[phase] = (is_scripted(hook, phase) ? scripted : symbols)[phase];
  return (struct atfork_hook){
      .prepare = chosen[PREPARE],
      .parent = chosen[PARENT],
      .child = chosen[CHILD],
      .data = hook,
      .destroy = on_destroy,
  };
}

/* ---- For AtFork ---- */

/* The state of the hooks.  Changed only with the GVL. */
static unsigned long state;

/* Filled in before there is an object, which would need write barriers.  The caller's stack keeps the values alive. */
static struct hook *make_hook(VALUE name, int priority, VALUE key, VALUE hash, const VALUE callables[PHASES]) {
  struct symbol symbols[PHASES] = {{0}};
  bool has_symbols = false;
  for (enum phase phase = PREPARE; phase < PHASES; phase++) {
    symbols[phase] = symbol_of(callables[phase]);
    if (symbols[phase].function != NULL) has_symbols = true;
  }
  size_t size = has_symbols ? sizeof symbols : 0;
  struct hook *hook = calloc(1, sizeof *hook + size);
  if (hook == NULL) rb_memerror();
  atomic_store_explicit(&hook->references, 1, memory_order_relaxed); /* no other thread has it yet */
  hook->name = name;
  hook->priority = priority;
  hook->key = key;
  hook->hash = hash;
  hook->index = -1;
  hook->has_symbols = has_symbols;
  memcpy(hook->callables, callables, sizeof hook->callables);
  memcpy(hook->symbols, symbols, size);
  return hook;
}

static bool register_in_core(struct hook *hook) {
  void *data = NULL;
  bool direct = is_direct(hook, &data);
  struct atfork_hook core = direct ? direct_hook(hook, data) : scripted_hook(hook);
  core.name = StringValueCStr(hook->name);
  core.priority = hook->priority;
  /* The core's reference, taken before another thread can fork. */
  if (!direct) atomic_fetch_add(&hook->references, 1);
  hook->id = atfork_register(&core);
  if (hook->id != 0) return true;
  if (!direct) atomic_fetch_sub(&hook->references, 1);
  return false;
}

static void append(VALUE hooks, VALUE self, struct hook *hook) {
  rb_ary_push(hooks, self);
  hook->index = RARRAY_LEN(hooks) - 1;
}

/* The last one takes its place. */
static bool take_out(VALUE hooks, struct hook *hook) {
  if (hook->index < 0) return false;
  VALUE last = rb_ary_entry(hooks, -1);
  rb_ary_store(hooks, hook->index, last);
  hook_of(last)->index = hook->index;
  hook->index = -1;
  rb_ary_pop(hooks);
  return true;
}

/* ---- Keys: an Array of hooks for each hash.  Only find_key() runs Ruby code ---- */

/* Changes with each of these hooks that is added or removed. */
static unsigned long keyed;

/* The hook with an equal key, or nil.  Begins again if they have changed during a comparison: its method, a trap or
 * another thread may have registered and unregistered some. */
static VALUE find_key(VALUE keys, VALUE hash, VALUE key) {
  unsigned long before;
  VALUE found = Qnil;
  if (NIL_P(key)) return Qnil;
  do {
    VALUE same_hash = rb_hash_lookup(keys, hash);
    before = keyed;
    found = Qnil;
    for (long i = 0; !NIL_P(same_hash) && NIL_P(found) && keyed == before && i < RARRAY_LEN(same_hash); i++) {
      VALUE hook = RARRAY_AREF(same_hash, i);
      if (rb_eql(key, hook_of(hook)->key)) found = hook;
    }
  } while (keyed != before);
  return found;
}

static void add_key(VALUE keys, VALUE self, const struct hook *hook) {
  if (NIL_P(hook->key)) return;
  keyed++;
  VALUE same_hash = rb_hash_lookup(keys, hook->hash);
  if (NIL_P(same_hash))
    rb_hash_aset(keys, hook->hash, rb_ary_new_from_args(1, self));
  else
    rb_ary_push(same_hash, self);
}

/* It may be missing, if there was no memory to add it. */
static void remove_key(VALUE keys, VALUE self, const struct hook *hook) {
  VALUE same_hash = NIL_P(hook->key) ? Qnil : rb_hash_lookup(keys, hook->hash);
  if (NIL_P(same_hash)) return;
  keyed++;
  for (long i = RARRAY_LEN(same_hash); i-- > 0;)
    if (RARRAY_AREF(same_hash, i) == self) rb_ary_delete_at(same_hash, i);
  if (RARRAY_LEN(same_hash) == 0) rb_hash_delete(keys, hook->hash);
}

/* ---- Registering ---- */

/* A hook that is being registered. */
struct entry {
  VALUE hooks, keys, self;
  struct hook *hook;
};

/* Under the GVL: no other Ruby thread sees one of these changes without the others. */
static VALUE enter(VALUE address) {
  const struct entry *entry = (const struct entry *)address;
  append(entry->hooks, entry->self, entry->hook);
  add_key(entry->keys, entry->self, entry->hook);
  if (register_in_core(entry->hook)) return Qnil;
  if (errno == ENOMEM) rb_memerror();
  rb_sys_fail("atfork_register");
}

/* The hook, or NULL if it is not registered. */
static const struct hook *leave(VALUE hooks, VALUE keys, VALUE self) {
  struct hook *hook = hook_of(self);
  if (!take_out(hooks, hook)) return NULL;
  remove_key(keys, self, hook);
  state++;
  return hook;
}

static VALUE register_hook(VALUE hooks, VALUE keys, struct hook *hook) {
  struct entry entry = {hooks, keys, TypedData_Wrap_Struct(hook_class, &type, hook), hook};
  int error;
  OBJ_FREEZE(entry.self);
  rb_protect(enter, (VALUE)&entry, &error);
  state++;
  if (error == 0) return entry.self;
  leave(hooks, keys, entry.self);
  rb_jump_tag(error);
}

VALUE native_register(VALUE hooks, VALUE keys, VALUE name, VALUE priority, VALUE key, VALUE prepare, VALUE parent,
                      VALUE child) {
  VALUE callables[PHASES] = {prepare, parent, child};
  int number = NUM2INT(priority);
  name = rb_str_new_frozen(name);
  if (RB_TYPE_P(key, T_STRING)) key = rb_str_new_frozen(key);
  VALUE hash = NIL_P(key) ? Qnil : rb_hash(key);
  VALUE both = rb_ary_new_capa(2);
  VALUE other = find_key(keys, hash, key);
  VALUE self = register_hook(hooks, keys, make_hook(name, number, key, hash, callables));
  if (!NIL_P(other)) native_unregister(hooks, keys, other);
  RB_GC_GUARD(name);
  RB_GC_GUARD(key);
  rb_ary_push(both, self);
  return rb_ary_push(both, other);
}

VALUE native_state(void) {
  return ULONG2NUM(state);
}

VALUE native_is_registered(VALUE hook) {
  return hook_of(hook)->index < 0 ? Qfalse : Qtrue;
}

VALUE native_unregister(VALUE hooks, VALUE keys, VALUE self) {
  const struct hook *hook = leave(hooks, keys, self);
  if (hook != NULL) (void)atfork_unregister(hook->id);
  RB_GC_GUARD(self);
  return hook == NULL ? Qfalse : Qtrue;
}

static int unregister_in_visit(const struct atfork_info *info, void *id) {
  (void)info;
  (void)atfork_unregister(*(const atfork_id *)id);
  return 1;
}

VALUE native_unregister_later(VALUE hooks, VALUE keys, VALUE self) {
  const struct hook *hook = leave(hooks, keys, self);
  atfork_id id = hook == NULL ? 0 : hook->id;
  if (hook != NULL) (void)atfork_foreach(unregister_in_visit, &id);
  RB_GC_GUARD(self);
  return hook == NULL ? Qfalse : Qtrue;
}

static enum phase phase_of(VALUE number) {
  int phase = NUM2INT(number);
  if (phase < PREPARE || phase >= PHASES) rb_raise(rb_eArgError, "no such phase");
  return (enum phase)phase;
}

VALUE native_callable(VALUE object, VALUE number) {
  const struct hook *hook = hook_of(object);
  enum phase phase = phase_of(number);
  return is_scripted(hook, phase) ? hook->callables[phase] : Qnil;
}

VALUE native_run_symbol(VALUE hook, VALUE phase) {
  run_symbol(hook_of(hook), phase_of(phase));
  return Qnil;
}

VALUE native_prepares(VALUE object) {
  return NIL_P(hook_of(object)->callables[PREPARE]) ? Qfalse : Qtrue;
}

VALUE native_take_due(VALUE hooks) {
  if (!job_take()) return Qnil;
  VALUE children = rb_ary_new(), parents = rb_ary_new();
  uint64_t mark = due_mark();
  for (long i = 0; i < RARRAY_LEN(hooks); i++) {
    VALUE hook = RARRAY_AREF(hooks, i);
    struct due due = due_take(&hook_of(hook)->due, mark);
    if (due.child) rb_ary_push(children, hook);
    for (uint32_t n = due.parents; n > 0; n--) rb_ary_push(parents, hook);
  }
  return rb_assoc_new(children, parents);
}

/* The name of the variable is not valid in Ruby code, so `inspect` and JSON do not show it. */
VALUE native_attach(VALUE owner, VALUE object) {
  return rb_ivar_set(owner, rb_intern("__atfork__"), object);
}

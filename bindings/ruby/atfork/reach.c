/* SPDX-License-Identifier: MIT */
/* What inherited values refer to, as far as it may be their own. */
#include <ruby.h>
#include <ruby/st.h>
#include <stdbool.h>
#include <stdlib.h>

#include "native.h"

/* Ruby's, for its library objspace: exported, and in no header. */
void rb_objspace_reachable_objects_from(VALUE object, void (*visit)(VALUE, void *), void *data);

struct walk {
  st_table *seen;
  VALUE *pending;
  size_t count, room;
  bool no_memory;
  VALUE classes, objects; /* Arrays: what is not followed */
  VALUE found;
};

/* Through classes and internal objects all of a program can be reached. */
static bool may_be_owned(VALUE object) {
  if (RB_SPECIAL_CONST_P(object)) return false;
  switch (RB_BUILTIN_TYPE(object)) {
    case T_OBJECT:
    case T_STRING:
    case T_ARRAY:
    case T_HASH:
    case T_STRUCT:
    case T_FILE:
    case T_DATA:
      return true;
    default:
      return false;
  }
}

static bool is_shared(const struct walk *walk, VALUE object) {
  for (long i = 0; i < RARRAY_LEN(walk->objects); i++)
    if (RARRAY_AREF(walk->objects, i) == object) return true;
  if (!RB_TYPE_P(object, T_DATA)) return false;
  for (long i = 0; i < RARRAY_LEN(walk->classes); i++)
    if (RTEST(rb_obj_is_kind_of(object, RARRAY_AREF(walk->classes, i)))) return true;
  return false;
}

/* Ruby must not be left by longjmp() here, nor asked for an object. */
static void visit(VALUE object, void *data) {
  struct walk *walk = data;
  if (!may_be_owned(object) || st_insert(walk->seen, object, 0) || is_shared(walk, object)) return;
  if (walk->count == walk->room) {
    size_t room = walk->room == 0 ? 64 : 2 * walk->room;
    VALUE *pending = realloc(walk->pending, room * sizeof *pending);
    if (pending == NULL) {
      walk->no_memory = true;
      return;
    }
    walk->pending = pending;
    walk->room = room;
  }
  walk->pending[walk->count++] = object;
}

static bool is_finalised(VALUE object) {
  return RB_TYPE_P(object, T_DATA) || RB_TYPE_P(object, T_FILE) || RB_FL_TEST_RAW(object, RUBY_FL_FINALIZE);
}

static VALUE walk_all(VALUE address) {
  struct walk *walk = (struct walk *)address;
  while (walk->count > 0) {
    VALUE object = walk->pending[--walk->count];
    if (is_finalised(object)) rb_ary_push(walk->found, object);
    rb_objspace_reachable_objects_from(object, visit, walk);
    if (walk->no_memory) rb_memerror();
  }
  return walk->found;
}

static VALUE end_walk(VALUE address) {
  struct walk *walk = (struct walk *)address;
  st_free_table(walk->seen);
  free(walk->pending);
  return Qnil;
}

VALUE native_reachable(VALUE values, VALUE classes, VALUE objects) {
  struct walk walk = {.classes = classes, .objects = objects, .found = rb_ary_new()};
  /* No object moves, or is collected, while it is noted by its address alone. */
  bool was_disabled = RTEST(rb_gc_disable());
  walk.seen = st_init_numtable();
  for (long i = 0; i < RARRAY_LEN(values); i++) visit(RARRAY_AREF(values, i), &walk);
  VALUE found = rb_ensure(walk_all, (VALUE)&walk, end_walk, (VALUE)&walk);
  if (!was_disabled) rb_gc_enable();
  return found;
}

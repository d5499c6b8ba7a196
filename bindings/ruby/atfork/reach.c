/* SPDX-License-Identifier: MIT */
/* Finds the objects that inherited values refer to, and that may belong to them. */
#include <ruby.h>
#include <ruby/st.h>
#include <stdbool.h>

#include "native.h"

/* Exported by Ruby for its library objspace, but in no header. */
void rb_objspace_reachable_objects_from(VALUE object, void (*visit)(VALUE, void *), void *data);

struct walk {
  st_table *found;       /* entries that are added during the iteration are visited, too */
  VALUE objects;         /* to follow */
  VALUE classes, shared; /* what is not followed */
};

/* Through classes and internal objects, the whole program can be reached. */
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
  for (long i = 0; i < RARRAY_LEN(walk->shared); i++)
    if (RARRAY_AREF(walk->shared, i) == object) return true;
  if (!RB_TYPE_P(object, T_DATA)) return false;
  for (long i = 0; i < RARRAY_LEN(walk->classes); i++)
    if (RTEST(rb_obj_is_kind_of(object, RARRAY_AREF(walk->classes, i)))) return true;
  return false;
}

static void visit(VALUE object, void *data) {
  const struct walk *walk = data;
  if (may_be_owned(object) && !is_shared(walk, object)) st_insert(walk->found, object, 0);
}

static int follow(st_data_t object, st_data_t unused, st_data_t data) {
  struct walk *walk = (struct walk *)data;
  (void)unused;
  rb_ary_push(walk->objects, object);
  rb_objspace_reachable_objects_from(object, visit, walk);
  return ST_CONTINUE;
}

/* The process is ending, so memory that an error leaves here does not matter. */
VALUE native_reachable(VALUE values, VALUE classes, VALUE shared) {
  struct walk walk = {st_init_numtable(), rb_ary_new(), classes, shared};
  /* While objects are known only by their addresses, no object is moved or collected. */
  bool was_disabled = RTEST(rb_gc_disable());
  for (long i = 0; i < RARRAY_LEN(values); i++) visit(RARRAY_AREF(values, i), &walk);
  st_foreach(walk.found, follow, (st_data_t)&walk);
  st_free_table(walk.found);
  if (!was_disabled) rb_gc_enable();
  return walk.objects;
}

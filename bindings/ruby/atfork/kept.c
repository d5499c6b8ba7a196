/* SPDX-License-Identifier: MIT */
/*
 * The values that AtFork.per_process made in this process and in its ancestors.  A process must not finalise a value of
 * an ancestor.  So the collector finds these values here, even if nothing else refers to them, and after any kind of
 * fork.
 */
#include <ruby.h>
#include <stdbool.h>

#include "made.h"
#include "native.h"

struct kept {
  struct made made; /* comes first */
  VALUE self;
  VALUE value;
};

static VALUE kept_class;

static struct kept *next_inherited(struct kept *kept) {
  return (struct kept *)made_next_inherited((struct made *)kept);
}

/* ---- The object ---- */

static void mark(void *data) {
  rb_gc_mark_movable(((const struct kept *)data)->value);
}

static void compact(void *data) {
  struct kept *kept = data;
  kept->value = rb_gc_location(kept->value);
  kept->self = rb_gc_location(kept->self);
}

static void free_kept(void *data) {
  made_remove(data);
  xfree(data);
}

static size_t memory_size(const void *data) {
  (void)data;
  return sizeof(struct kept);
}

static const rb_data_type_t type = {
    .wrap_struct_name = "AtFork::Native::Kept",
    .function = {.dmark = mark, .dfree = free_kept, .dsize = memory_size, .dcompact = compact},
    .flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED,
};

/* ---- The root ---- */

static void mark_inherited(void *unused) {
  (void)unused;
  for (struct kept *kept = next_inherited(NULL); kept != NULL; kept = next_inherited(kept)) rb_gc_mark(kept->self);
}

/* Not NULL, as the mark function would not be called. */
static char root;

/* Without a write barrier, so every collection calls the mark function: a child must mark values that its parent did
 * not mark. */
static const rb_data_type_t root_type = {
    .wrap_struct_name = "AtFork::Native::Inherited",
    .function = {.dmark = mark_inherited},
};

void kept_init(void) {
  kept_class = rb_define_class_under(rb_define_module_under(rb_define_module("AtFork"), "Native"), "Kept", rb_cObject);
  rb_gc_register_mark_object(kept_class);
  rb_undef_alloc_func(kept_class);
  rb_undef_method(rb_singleton_class(kept_class), "new");
  rb_gc_register_mark_object(TypedData_Wrap_Struct(0, &root_type, &root));
}

/* ---- For AtFork ---- */

VALUE native_keep(VALUE value) {
  struct kept *kept;
  VALUE self = TypedData_Make_Struct(kept_class, struct kept, &type, kept);
  kept->self = self;
  RB_OBJ_WRITE(self, &kept->value, value);
  made_add(&kept->made);
  return self;
}

VALUE native_let_go(VALUE self) {
  made_remove(rb_check_typeddata(self, &type));
  return Qnil;
}

VALUE native_inherited(void) {
  VALUE values = rb_ary_new();
  for (struct kept *kept = next_inherited(NULL); kept != NULL; kept = next_inherited(kept))
    rb_ary_push(values, kept->value);
  return values;
}

/* ---- At the end of a process ---- */

/* Ruby's function refuses frozen objects, so the object is unfrozen for this call. */
static void undefine_finalizers(VALUE object) {
  if (!RB_FL_TEST_RAW(object, RUBY_FL_FINALIZE)) return;
  VALUE frozen = RB_FL_TEST_RAW(object, RUBY_FL_FREEZE);
  RB_FL_UNSET_RAW(object, RUBY_FL_FREEZE);
  rb_undefine_finalizer(object);
  RB_FL_SET_RAW(object, frozen);
}

VALUE native_undefine_finalizers(VALUE objects) {
  for (long i = 0; i < RARRAY_LEN(objects); i++) undefine_finalizers(RARRAY_AREF(objects, i));
  return Qnil;
}

static bool is_embedded(VALUE object) {
#ifdef TYPED_DATA_EMBEDDED
  return RTYPEDDATA_P(object) && RTYPEDDATA_EMBEDDED_P(object);
#else
  (void)object;
  return false;
#endif
}

/* Takes the content of the object away, so Ruby frees, flushes and closes nothing. */
static void empty(VALUE object) {
  if (RB_TYPE_P(object, T_FILE))
    RFILE(object)->fptr = NULL;
  else if (RB_TYPE_P(object, T_DATA) && !is_embedded(object))
    DATA_PTR(object) = NULL;
}

VALUE native_empty(VALUE objects) {
  for (long i = 0; i < RARRAY_LEN(objects); i++) empty(RARRAY_AREF(objects, i));
  return Qnil;
}

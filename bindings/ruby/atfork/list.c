/* SPDX-License-Identifier: MIT */
#include <atfork.h>
#include <stdbool.h>

#include "infos.h"
#include "native.h"

static VALUE boolean(bool value) {
  return value ? Qtrue : Qfalse;
}

static VALUE infos_to_array(VALUE address) {
  const struct infos *infos = (const struct infos *)address;
  VALUE array = rb_ary_new();
  for (size_t i = 0; i < infos->count; i++) {
    const struct atfork_info *info = &infos->all[i];
    const struct atfork_hook *hook = &info->hook;
    rb_ary_push(array, rb_ary_new_from_args(7, ULL2NUM(info->id), rb_utf8_str_new_cstr(hook->name),
                                            INT2NUM(hook->priority), ULL2NUM(info->generation),
                                            boolean(hook->prepare != NULL || hook->try_prepare != NULL),
                                            boolean(hook->parent != NULL), boolean(hook->child != NULL)));
  }
  return array;
}

static VALUE free_infos(VALUE address) {
  infos_free((struct infos *)address);
  return Qnil;
}

VALUE native_hooks(void) {
  struct infos infos;
  if (!infos_take(&infos, NULL)) {
    infos_free(&infos);
    rb_memerror();
  }
  return rb_ensure(infos_to_array, (VALUE)&infos, free_infos, (VALUE)&infos);
}

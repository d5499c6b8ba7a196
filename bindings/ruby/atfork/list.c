/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* strdup() */
#include <atfork.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

struct list {
  struct atfork_info *infos;
  size_t count;
  size_t room;
};

/* Ruby raises by longjmp(), which must not leave a visit: it only copies. */
static int copy_info(const struct atfork_info *info, void *arg) {
  struct list *list = arg;
  if (list->count == list->room) {
    size_t room = list->room == 0 ? 16 : 2 * list->room;
    struct atfork_info *infos = realloc(list->infos, room * sizeof *infos);
    if (infos == NULL) return ENOMEM;
    list->infos = infos;
    list->room = room;
  }
  list->infos[list->count] = *info;
  list->infos[list->count].hook.name = strdup(info->hook.name);
  return list->infos[list->count++].hook.name == NULL ? ENOMEM : 0;
}

static VALUE boolean(bool value) {
  return value ? Qtrue : Qfalse;
}

static VALUE list_to_array(VALUE address) {
  const struct list *list = (const struct list *)address;
  VALUE array = rb_ary_new();
  for (size_t i = 0; i < list->count; i++) {
    const struct atfork_info *info = &list->infos[i];
    const struct atfork_hook *hook = &info->hook;
    rb_ary_push(array, rb_ary_new_from_args(7, ULL2NUM(info->id), rb_utf8_str_new_cstr(hook->name),
                                            INT2NUM(hook->priority), ULL2NUM(info->generation),
                                            boolean(hook->prepare != NULL || hook->try_prepare != NULL),
                                            boolean(hook->parent != NULL), boolean(hook->child != NULL)));
  }
  return array;
}

static VALUE free_list(VALUE address) {
  struct list *list = (struct list *)address;
  for (size_t i = 0; i < list->count; i++) free((char *)(uintptr_t)list->infos[i].hook.name);
  free(list->infos);
  return Qnil;
}

VALUE native_hooks(void) {
  struct list list = {0};
  if (atfork_foreach(copy_info, &list) != 0) {
    free_list((VALUE)&list);
    rb_memerror();
  }
  return rb_ensure(list_to_array, (VALUE)&list, free_list, (VALUE)&list);
}

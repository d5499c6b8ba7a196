/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr1() */
#include "hooks.h"

#include <atfork.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <ruby/debug.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum phase { PREPARE, PARENT, CHILD, PHASES };

typedef void (*callback)(void *data);

/* Freed when the core has called destroy(), and it is not in the list of what is due. */
struct hook {
  atfork_id id;
  bool scripted[PHASES];
  callback symbols[PHASES];
  _Atomic int references;
  struct hook *_Atomic next_due;
  _Atomic bool is_due; /* it is in the list */
  _Atomic bool child_due;
  _Atomic int parents_due;
};

/* Pushed inside fork(), by any thread; taken all at once by Ruby. */
static struct hook *_Atomic due;

/* Written by this thread alone; a child's thread inherits it. */
static _Thread_local bool forking __attribute__((tls_model("initial-exec")));

static VALUE on_due = Qnil;

/* ---- Inside fork() ---- */

static void release(struct hook *hook) {
  if (atomic_fetch_sub(&hook->references, 1) == 1) free(hook);
}

static void on_destroy(void *hook) {
  release(hook);
}

static void run_due(void *unused) {
  (void)unused;
  if (!NIL_P(on_due)) rb_funcall(on_due, rb_intern("call"), 0);
}

static void note_due(struct hook *hook) {
  if (!atomic_exchange(&hook->is_due, true)) {
    atomic_fetch_add(&hook->references, 1);
    struct hook *head = atomic_load(&due);
    do atomic_store(&hook->next_due, head);
    while (!atomic_compare_exchange_weak(&due, &head, hook));
  }
  rb_postponed_job_register_one(0, run_due, NULL);
}

/* C functions run here and now; what is Ruby's is due, unless Process._fork's caller sees to it. */
static void on_prepare(void *data) {
  struct hook *hook = data;
  if (hook->symbols[PREPARE] != NULL) hook->symbols[PREPARE](NULL);
}

/* Where prepare could not run, its parent does not either. */
static void on_parent(void *data) {
  struct hook *hook = data;
  if (hook->symbols[PARENT] != NULL) {
    hook->symbols[PARENT](NULL);
  } else if (hook->scripted[PARENT] && !hook->scripted[PREPARE] && !forking) {
    atomic_fetch_add(&hook->parents_due, 1);
    note_due(hook);
  }
}

static void on_child(void *data) {
  struct hook *hook = data;
  /* What the parent had not come to is not ours. */
  atomic_store(&hook->parents_due, 0);
  if (hook->symbols[CHILD] != NULL) {
    hook->symbols[CHILD](NULL);
  } else if (hook->scripted[CHILD] && !forking) {
    atomic_store(&hook->child_due, true);
    note_due(hook);
  }
}

/* ---- For atfork.rb ---- */

VALUE native_forking(VALUE yes) {
  forking = RTEST(yes);
  return yes;
}

VALUE native_when_due(VALUE callable) {
  rb_gc_register_address(&on_due);
  on_due = callable;
  return Qnil;
}

VALUE native_due(void) {
  VALUE list = rb_ary_new();
  struct hook *hook = atomic_exchange(&due, NULL);
  while (hook != NULL) {
    struct hook *next = atomic_load(&hook->next_due);
    atomic_store(&hook->is_due, false);
    bool child = atomic_exchange(&hook->child_due, false);
    int parents = atomic_exchange(&hook->parents_due, 0);
    rb_ary_push(list, rb_ary_new_from_args(3, ULL2NUM(hook->id), child ? Qtrue : Qfalse, INT2NUM(parents)));
    release(hook);
    hook = next;
  }
  return list;
}

static void take_callback(struct hook *hook, enum phase phase, VALUE value) {
  if (value == Qtrue)
    hook->scripted[phase] = true;
  else if (!NIL_P(value))
    hook->symbols[phase] = (callback)(uintptr_t)NUM2ULL(value);
}

/* A hook that is all C runs its callbacks directly, as one that C registered. */
static struct atfork_hook core_hook(struct hook *hook, const char *name, int priority) {
  bool direct = !hook->scripted[PREPARE] && !hook->scripted[PARENT] && !hook->scripted[CHILD];
  struct atfork_hook core = {.name = name, .priority = priority, .data = hook, .destroy = on_destroy};
  if (hook->scripted[PREPARE] || hook->symbols[PREPARE] != NULL)
    core.prepare = direct ? hook->symbols[PREPARE] : on_prepare;
  if (hook->scripted[PARENT] || hook->symbols[PARENT] != NULL) core.parent = direct ? hook->symbols[PARENT] : on_parent;
  if (hook->scripted[CHILD] || hook->symbols[CHILD] != NULL) core.child = direct ? hook->symbols[CHILD] : on_child;
  return core;
}

VALUE native_register(VALUE name, VALUE priority, VALUE callbacks) {
  const char *c_name = StringValueCStr(name);
  int c_priority = NUM2INT(priority);
  Check_Type(callbacks, T_ARRAY);
  struct hook taken = {0};
  for (enum phase phase = PREPARE; phase < PHASES; phase++)
    take_callback(&taken, phase, rb_ary_entry(callbacks, phase));
  struct hook *hook = malloc(sizeof *hook);
  if (hook == NULL) rb_memerror();
  *hook = taken;
  atomic_store(&hook->references, 1);
  struct atfork_hook core = core_hook(hook, c_name, c_priority);
  /* Under the GVL, so that nothing of Ruby's forks before the id is known; and inside fork() it is not used. */
  atfork_id id = atfork_register(&core);
  if (id == 0) {
    int error = errno;
    free(hook);
    if (error == ENOMEM) rb_memerror();
    rb_syserr_fail(error, "atfork_register");
  }
  hook->id = id;
  RB_GC_GUARD(name);
  return ULL2NUM(id);
}

VALUE native_unregister(VALUE id) {
  if (atfork_unregister(NUM2ULL(id)) == 0) return Qtrue;
  if (errno != ENOENT) rb_sys_fail("atfork_unregister");
  return Qfalse;
}

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

/* Data symbols and code look the same to dlsym(); the symbol table knows. */
static bool is_function(void *address) {
  Dl_info info;
  const ElfW(Sym) *entry = NULL;
  if (!dladdr1(address, &info, (void **)(uintptr_t)&entry, RTLD_DL_SYMENT) || entry == NULL) return true;
  int type = ELF64_ST_TYPE(entry->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

VALUE native_symbol(VALUE library, VALUE name) {
  const char *c_library = NIL_P(library) ? NULL : StringValueCStr(library);
  const char *c_name = StringValueCStr(name);
  void *handle = dlopen(c_library, RTLD_NOW | RTLD_NODELETE);
  if (handle == NULL) rb_raise(rb_eArgError, "%s", dlerror());
  void *address = dlsym(handle, c_name);
  VALUE error = address == NULL ? rb_str_new_cstr(dlerror()) : Qnil;
  dlclose(handle);
  if (!NIL_P(error)) rb_exc_raise(rb_exc_new_str(rb_eArgError, error));
  if (!is_function(address)) rb_raise(rb_eArgError, "%s is not a function", c_name);
  RB_GC_GUARD(library);
  RB_GC_GUARD(name);
  return ULL2NUM((uintptr_t)address);
}

/* SPDX-License-Identifier: MIT */
#include "symbols.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <string.h>

/* ---- Objects, each opened once ---- */

struct object {
  Dwfl *dwfl;        /* NULL: it cannot be read */
  GHashTable *found; /* offset -> struct place */
};

static char *debug_path;

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_path,
};

static struct object *object_open(const char *path) {
  static GHashTable *objects;
  if (objects == NULL) objects = g_hash_table_new(g_str_hash, g_str_equal);
  struct object *object = g_hash_table_lookup(objects, path);
  if (object != NULL) return object;
  object = g_new0(struct object, 1);
  object->found = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
  g_hash_table_insert(objects, g_strdup(path), object);
  object->dwfl = dwfl_begin(&callbacks);
  if (object->dwfl == NULL) return object;
  /* At the addresses of the file itself. */
  Dwfl_Module *module = dwfl_report_elf(object->dwfl, path, path, -1, 0, true);
  dwfl_report_end(object->dwfl, NULL, NULL);
  if (module == NULL) {
    dwfl_end(object->dwfl);
    object->dwfl = NULL;
  }
  return object;
}

/* ---- Places ---- */

struct place symbols_place(const struct process *process, guint64 address, guint64 time) {
  const struct module *module = process_module(process, address, time);
  if (module == NULL) return (struct place){.address = address};
  return (struct place){.address = address, .object = module->path, .offset = address - module->slide};
}

/* clang writes no table of addresses, so all compilation units are searched. */
static Dwarf_Die *find_unit(Dwfl_Module *module, guint64 address, Dwarf_Addr *bias) {
  Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);
  if (unit != NULL) return unit;
  while ((unit = dwfl_module_nextcu(module, unit, bias)) != NULL)
    if (dwarf_haspc(unit, address - *bias) > 0) return unit;
  return NULL;
}

/* If the compiler got a relative path ("../main.c"), its working directory comes before it. */
static const char *whole_path(Dwarf_Die *unit, const char *file) {
  Dwarf_Attribute attribute;
  const char *directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
  if (*file == '/' || directory == NULL || *directory != '/') return g_intern_string(file);
  g_autofree char *path = g_canonicalize_filename(file, directory);
  return g_intern_string(path);
}

static void find_line(Dwfl_Module *module, struct place *place) {
  Dwarf_Addr bias = 0;
  Dwarf_Die *unit = find_unit(module, place->offset, &bias);
  Dwarf_Line *line = unit == NULL ? NULL : dwarf_getsrc_die(unit, place->offset - bias);
  const char *file = line == NULL ? NULL : dwarf_linesrc(line, NULL, NULL);
  int number = 0;
  if (file == NULL || dwarf_lineno(line, &number) != 0) return;
  place->file = whole_path(unit, file);
  place->line = (guint)number;
}

static void look_up(struct object *object, struct place *place) {
  Dwfl_Module *module = dwfl_addrmodule(object->dwfl, place->offset);
  if (module == NULL) return;
  GElf_Off into;
  GElf_Sym symbol;
  const char *name = dwfl_module_addrinfo(module, place->offset, &into, &symbol, NULL, NULL, NULL);
  place->function = name == NULL ? NULL : g_intern_string(name);
  find_line(module, place);
}

void symbols_find(struct place *place) {
  if (place->object == NULL || place->function != NULL) return;
  struct object *object = object_open(place->object);
  if (object->dwfl == NULL) return;
  struct place *found = g_hash_table_lookup(object->found, &place->offset);
  if (found == NULL) {
    found = g_new(struct place, 1);
    *found = *place;
    look_up(object, found);
    g_hash_table_insert(object->found, &found->offset, found);
  }
  place->function = found->function;
  place->file = found->file;
  place->line = found->line;
}

char *symbols_describe(struct place *place) {
  symbols_find(place);
  if (place->object == NULL) return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", place->address);
  g_autofree char *object = g_path_get_basename(place->object);
  if (place->function == NULL) return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", object, place->offset);
  if (place->file == NULL) return g_strdup_printf("%s (%s)", place->function, object);
  g_autofree char *file = g_path_get_basename(place->file);
  return g_strdup_printf("%s (%s:%u)", place->function, file, place->line);
}

/* NULL: it is in none. */
static char *find_variable(const struct place *place) {
  struct object *object = place->object == NULL ? NULL : object_open(place->object);
  Dwfl_Module *module = object == NULL || object->dwfl == NULL ? NULL : dwfl_addrmodule(object->dwfl, place->offset);
  if (module == NULL) return NULL;
  GElf_Off into;
  GElf_Sym symbol;
  const char *name = dwfl_module_addrinfo(module, place->offset, &into, &symbol, NULL, NULL, NULL);
  if (name == NULL || GELF_ST_TYPE(symbol.st_info) != STT_OBJECT || into >= symbol.st_size) return NULL;
  return into == 0 ? g_strdup(name) : g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", name, (guint64)into);
}

char *symbols_address(const struct process *process, guint64 address, guint64 time) {
  struct place place = symbols_place(process, address, time);
  g_autofree char *variable = find_variable(&place);
  if (variable == NULL) return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", address);
  return g_strdup_printf("0x%" G_GINT64_MODIFIER "x (%s)", address, variable);
}

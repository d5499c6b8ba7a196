/* SPDX-License-Identifier: MIT */
/* Whether all processes of a run have places of their own, each below its parent's. */
#include <string.h>

#include "matrix.h"
#include "pid_name.h"

struct family *family;

static const struct record *record_of(pid_t pid) {
  for (int i = 0; i < family->count; i++)
    if (family->records[i].pid == pid) return &family->records[i];
  return NULL;
}

static int levels(const char *lineage) {
  int count = 0;
  for (; *lineage != '\0'; lineage++) count += *lineage == '.';
  return count;
}

/* As the child of `of`, by a number or by its pid. */
static bool is_child_of(const struct record *record, const struct record *of) {
  size_t length = strlen(of->lineage);
  if (strncmp(record->lineage, of->lineage, length) != 0 || record->lineage[length] != '.') return false;
  const char *name = record->lineage + length + 1;
  if (!record->bypassed) return strspn(name, "123456789") > 0 && strspn(name, "0123456789") == strlen(name);
  return is_name_of_pid(name - 1, record->pid);
}

/* A process that a bypassing fork made, and that may not have looked before it forked, may be left out. */
static bool has_its_place(const struct record *record) {
  for (const struct record *of = record;;) {
    bool parent_looked = of->parent_looked;
    of = record_of(of->parent);
    if (of == NULL) return false;
    if (is_child_of(record, of)) return record->generation == of->generation + 1;
    if (parent_looked) return false;
  }
}

static void show_family(void) {
  for (int i = 0; i < family->count; i++) {
    const struct record *record = &family->records[i];
    say("  %d of %d%s%s: %s", (int)record->pid, (int)record->parent, record->bypassed ? ", bypassed" : "",
        record->parent_looked ? "" : ", whose parent may not have looked", record->lineage);
  }
}

static bool is_right(const struct record *record, pid_t root) {
  if (levels(record->lineage) == (int)record->generation && (record->pid == root || has_its_place(record))) return true;
  say("process %d, child of %d, is %s, generation %d", (int)record->pid, (int)record->parent, record->lineage,
      (int)record->generation);
  return false;
}

static bool is_unique(const struct record *record) {
  for (const struct record *other = family->records; other < record; other++) {
    if (strcmp(record->lineage, other->lineage) != 0) continue;
    say("processes %d and %d are both %s", (int)record->pid, (int)other->pid, record->lineage);
    return false;
  }
  return true;
}

bool check_family(pid_t root) {
  bool good = true;
  for (int i = 0; i < family->count; i++)
    good = is_right(&family->records[i], root) && is_unique(&family->records[i]) && good;
  if (!good) show_family();
  return good;
}

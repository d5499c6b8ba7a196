/* SPDX-License-Identifier: MIT */
/*
 * shared-descriptor: two processes use one open file description, and one takes from the other.
 *
 * Each record tells of one use by one process, after a fork.  What makes it a fault depends on what it is:
 *
 *   file              both move its offset, and not by writing alone, as that keeps them apart
 *   connection        both write, or both read
 *   AF_UNIX           both read; several may write to one, as workers do to their manager
 *   packets           both read, and write: questions and answers
 *   datagrams         none: each is whole
 *   pipe              both read
 *   epoll, io_uring   both use it
 *   eventfd, timerfd, inotify   both read
 *
 * Use under a lock between processes is no fault.
 */
#include "doctor_state.h"

struct user {
  struct process *process;
  guint uses, guarded;
  guint64 last;                   /* ns, of the last use that was told */
  const struct record *record[8]; /* by the number of the use's bit */
};

struct description {
  guint64 id;
  guint kind;
  GPtrArray *users; /* of struct user */
};

enum { WORDS_ID, WORDS_FD, WORDS_KIND, WORDS_USE, WORDS_DEVICE, WORDS_INODE, WORDS_GUARDED };

static guint bit_of(guint64 use) {
  return (guint)g_bit_nth_lsf((gulong)use, -1) & 7;
}

/* ---- The records, by description ---- */

static void free_description(gpointer data) {
  struct description *description = data;
  g_ptr_array_unref(description->users);
  g_free(description);
}

static guint description_hash(gconstpointer key) {
  const struct record *record = key;
  return (guint)((record->words[WORDS_ID] ^ record->words[WORDS_INODE] * 31) * 0x9e3779b97f4a7c15U >> 32);
}

static gboolean description_equal(gconstpointer one, gconstpointer other) {
  const struct record *a = one, *b = other;
  return a->words[WORDS_ID] == b->words[WORDS_ID] && a->words[WORDS_KIND] == b->words[WORDS_KIND] &&
         a->words[WORDS_DEVICE] == b->words[WORDS_DEVICE] && a->words[WORDS_INODE] == b->words[WORDS_INODE];
}

static struct user *user_of(struct description *description, struct process *process) {
  for (guint i = 0; i < description->users->len; i++) {
    struct user *user = g_ptr_array_index(description->users, i);
    if (user->process == process) return user;
  }
  struct user *user = g_new0(struct user, 1);
  user->process = process;
  g_ptr_array_add(description->users, user);
  return user;
}

/* A use is told again after each fork: the last one counts, as a child that came between has a part in it. */
static void add_use(GHashTable *descriptions, const struct later *later) {
  struct description *description = g_hash_table_lookup(descriptions, later->record);
  if (description == NULL) {
    description = g_new0(struct description, 1);
    description->id = later->record->words[WORDS_ID];
    description->kind = (guint)later->record->words[WORDS_KIND];
    description->users = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_insert(descriptions, (gpointer)(guintptr)later->record, description);
  }
  struct user *user = user_of(description, later->process);
  guint use = (guint)later->record->words[WORDS_USE];
  user->uses |= use;
  if (later->record->words[WORDS_GUARDED] != 0) user->guarded |= use;
  user->record[bit_of(use)] = later->record;
}

/* ---- Two users of one ---- */

static guint uses_after(const struct user *user, guint64 time) {
  guint uses = 0;
  for (guint bit = 0; bit < 8; bit++)
    if (user->record[bit] != NULL && user->record[bit]->time > time) uses |= 1U << bit;
  return uses & ~user->guarded;
}

/* Single bytes may go to any of several workers; longer messages would be split.  If a parent and its child both read,
 * the parent has forgotten to stop. */
static guint clash_of_readers(guint a, guint b, gboolean siblings) {
  const guint reads = USE_READ | USE_TAKE;
  if (siblings && ((a | b) & USE_READ) == 0) return 0;
  return (a & reads) != 0 && (b & reads) != 0 ? reads : 0;
}

/* The uses that are in each other's way; 0: none. */
static guint clash(enum descriptor_kind kind, guint a, guint b, gboolean siblings) {
  const guint moves = USE_READ | USE_TAKE | USE_WRITE | USE_SEEK, events = USE_CONTROL | USE_WAIT | USE_ENTER;
  switch (kind) {
    case DESCRIPTOR_FILE:
    case DESCRIPTOR_DIRECTORY:
      if (((a | b) & moves & ~(guint)USE_WRITE) == 0) return 0;
      return (a & moves) != 0 && (b & moves) != 0 ? moves : 0;
    case DESCRIPTOR_STREAM:
      return (a & b & USE_WRITE) | clash_of_readers(a, b, FALSE);
    case DESCRIPTOR_PIPE:
    case DESCRIPTOR_LOCAL_STREAM:
      return clash_of_readers(a, b, siblings);
    case DESCRIPTOR_EVENT:
    case DESCRIPTOR_TIMER:
    case DESCRIPTOR_INOTIFY:
      return clash_of_readers(a, b, FALSE);
    case DESCRIPTOR_PACKETS:
      return (a & b & USE_WRITE) != 0 ? clash_of_readers(a, b, FALSE) : 0;
    case DESCRIPTOR_EPOLL:
    case DESCRIPTOR_IO_URING:
      return (a & events) != 0 && (b & events) != 0 ? events : 0;
    default:
      return 0;
  }
}

/* Whether a process waited for its end before that time. */
static gboolean was_reaped(struct doctor *doctor, const struct process *process, guint64 before) {
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct record *record = ((struct later *)g_ptr_array_index(doctor->later, i))->record;
    if (record->kind == RECORD_WAITED && (pid_t)record->words[0] == process->pid && record->time > process->born &&
        record->time < before)
      return TRUE;
  }
  return FALSE;
}

/* Whether both lived at one time: the older is an ancestor of the younger, or no process waited for it before the
 * younger began. */
static gboolean live_together(struct doctor *doctor, const struct process *older, const struct process *younger) {
  return state_is_ancestor(older, younger) || !was_reaped(doctor, older, state_born(younger));
}

static const char *kind_name(enum descriptor_kind kind) {
  static const char *const names[DESCRIPTOR_KINDS] = {
      [DESCRIPTOR_OTHER] = "a descriptor",
      [DESCRIPTOR_FILE] = "a file",
      [DESCRIPTOR_LOG] = "a file",
      [DESCRIPTOR_DIRECTORY] = "a directory",
      [DESCRIPTOR_PIPE] = "a pipe",
      [DESCRIPTOR_LISTENER] = "a listening socket",
      [DESCRIPTOR_STREAM] = "a connection",
      [DESCRIPTOR_LOCAL_STREAM] = "a local connection",
      [DESCRIPTOR_PACKETS] = "a local connection",
      [DESCRIPTOR_DATAGRAMS] = "a datagram socket",
      [DESCRIPTOR_EPOLL] = "an epoll set",
      [DESCRIPTOR_EVENT] = "an eventfd",
      [DESCRIPTOR_SEMAPHORE] = "an eventfd",
      [DESCRIPTOR_TIMER] = "a timer",
      [DESCRIPTOR_INOTIFY] = "an inotify descriptor",
      [DESCRIPTOR_IO_URING] = "an io_uring",
  };
  return kind < DESCRIPTOR_KINDS ? names[kind] : names[0];
}

static const char *use_name(guint64 use) {
  switch ((enum use)use) {
    case USE_READ:
    case USE_TAKE:
      return "read";
    case USE_WRITE:
      return "written to";
    case USE_SEEK:
      return "moved in";
    case USE_CONTROL:
      return "changed";
    case USE_WAIT:
      return "waited for";
    default:
      return "used";
  }
}

static const struct record *record_of(const struct user *user, guint uses) {
  for (guint bit = 0; bit < 8; bit++)
    if ((uses >> bit & 1) != 0 && user->record[bit] != NULL) return user->record[bit];
  return NULL;
}

static void tell_shared(struct doctor *doctor, const struct user *older, const struct user *younger, guint of_older,
                        guint of_younger) {
  const struct record *one = record_of(younger, of_younger), *other = record_of(older, of_older);
  g_autofree char *name = state_name(older->process);
  struct finding *finding =
      finding_new("shared-descriptor", younger->process, "%s (descriptor %u, %s) is %s here, and %s in %s",
                  kind_name((enum descriptor_kind)one->words[WORDS_KIND]), (guint)one->words[WORDS_FD],
                  record_string(one, 0), use_name(one->words[WORDS_USE]), use_name(other->words[WORDS_USE]), name);
  struct frames frames;
  record_stack(one, &frames);
  finding_locate(finding, "used here", younger->process, &frames);
  record_stack(other, &frames);
  finding_locate(finding, "and here, in the other process", older->process, &frames);
  findings_add(doctor->findings, finding);
}

static gboolean find_shared(struct doctor *doctor, const struct description *description, const struct user *a,
                            const struct user *b) {
  const struct user *older = state_is_older(a->process, b->process) ? a : b, *younger = older == a ? b : a;
  if (!live_together(doctor, older->process, younger->process)) return FALSE;
  guint of_older = uses_after(older, state_parted(older->process, younger->process));
  guint of_younger = uses_after(younger, state_parted(younger->process, older->process));
  gboolean siblings = !state_is_ancestor(older->process, younger->process);
  guint uses = clash((enum descriptor_kind)description->kind, of_older, of_younger, siblings);
  if (uses == 0) return FALSE;
  tell_shared(doctor, older, younger, of_older & uses, of_younger & uses);
  return TRUE;
}

/* All processes share the standard streams.  A pipe that the program was started with may be a pipe for jobs, as
 * make's. */
static gboolean is_common(const struct description *description) {
  guint low = (guint)description->id;
  if ((low & DESCRIPTOR_GIVEN) == 0) return FALSE;
  return (low & ~DESCRIPTOR_GIVEN) <= 2 || description->kind == DESCRIPTOR_PIPE;
}

static void find_in(struct doctor *doctor, const struct description *description) {
  if (is_common(description)) return;
  for (guint i = 0; i < description->users->len; i++)
    for (guint k = 0; k < i; k++)
      if (find_shared(doctor, description, g_ptr_array_index(description->users, k),
                      g_ptr_array_index(description->users, i)))
        break; /* once for each process */
}

void doctor_descriptors_finish(struct doctor *doctor) {
  GHashTable *descriptions = g_hash_table_new_full(description_hash, description_equal, NULL, free_description);
  g_autoptr(GPtrArray) order = g_ptr_array_new();
  for (guint i = 0; i < doctor->later->len; i++) {
    struct later *later = g_ptr_array_index(doctor->later, i);
    if (later->record->kind != RECORD_DESCRIPTOR) continue;
    guint size = g_hash_table_size(descriptions);
    add_use(descriptions, later);
    if (g_hash_table_size(descriptions) != size)
      g_ptr_array_add(order, g_hash_table_lookup(descriptions, later->record));
  }
  for (guint i = 0; i < order->len; i++) find_in(doctor, g_ptr_array_index(order, i));
  g_hash_table_unref(descriptions);
}

/* ---- leaked-descriptor ---- */

/* Whether the program that was started uses what it found at this number: it is meant to. */
static gboolean is_used(struct doctor *doctor, const struct later *leak) {
  gboolean execs = leak->record->words[2] != 0;
  for (guint i = 0; i < doctor->later->len; i++) {
    const struct later *later = g_ptr_array_index(doctor->later, i);
    if (later->record->kind != RECORD_DESCRIPTOR || later->record->time < leak->record->time) continue;
    if ((guint)later->record->words[WORDS_ID] != (DESCRIPTOR_GIVEN | (guint)leak->record->words[0])) continue;
    if ((execs ? later->process : later->process->parent) == leak->process) return TRUE;
  }
  return FALSE;
}

/* If exec failed, no descriptor has left the program. */
void doctor_leaks_finish(struct doctor *doctor) {
  for (guint i = 0; i < doctor->later->len; i++) {
    struct later *later = g_ptr_array_index(doctor->later, i);
    const struct record *record = later->record;
    if (record->kind != RECORD_LEAKED || (record->words[2] != 0 && !later->process->execed)) continue;
    if (is_used(doctor, later)) continue;
    struct finding *finding = finding_new(
        "leaked-descriptor", later->process, "descriptor %u, %s (%s), stays open in %s", (guint)record->words[0],
        kind_name((enum descriptor_kind)record->words[1]), record_string(record, 1), record_string(record, 0));
    struct frames frames;
    record_stack(record, &frames);
    finding_locate(finding, "opened here", later->process, &frames);
    findings_add(doctor->findings, finding);
  }
}

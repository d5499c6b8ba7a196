/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "launch.h"

/* ---- Records ---- */

const char *record_string(const struct record *record, guint n) {
  const char *at = record_text(record), *end = at + record->text;
  for (; n > 0 && at < end; n--) at += strlen(at) + 1;
  return at < end ? at : "";
}

void record_stack(const struct record *record, struct frames *frames) {
  frames->time = record->time;
  frames->count = MIN(record->frames, RECORD_FRAMES);
  memcpy(frames->addresses, record_frames(record), frames->count * sizeof frames->addresses[0]);
}

/* ---- Words ---- */

const char *how_name(enum how how) {
  static const char *const names[HOWS] = {
      [HOW_ROOT] = "command",
      [HOW_FORK] = "fork",
      [HOW_VFORK] = "vfork",
      [HOW_SPAWN] = "posix_spawn",
      [HOW_SYSTEM] = "system",
      [HOW_POPEN] = "popen",
      [HOW_DAEMON] = "daemon",
      [HOW_FORKPTY] = "forkpty",
      [HOW_LIBC] = "fork in libc",
      [HOW_FORK_RAW] = "syscall(fork)",
      [HOW_UFORK] = "_Fork",
      [HOW_CLONE] = "clone",
      [HOW_CLONE_RAW] = "syscall(clone)",
      [HOW_CLONE3_RAW] = "syscall(clone3)",
      [HOW_UNSEEN] = "raw syscall",
      [HOW_PROBE] = "probe",
  };
  return how < HOWS ? names[how] : "?";
}

gboolean how_bypasses(enum how how) {
  switch (how) {
    case HOW_FORK_RAW:
    case HOW_UFORK:
    case HOW_CLONE:
    case HOW_CLONE_RAW:
    case HOW_CLONE3_RAW:
    case HOW_UNSEEN:
      return TRUE;
    default:
      return FALSE;
  }
}

/* The child has a copy of the parent's memory, and goes on in it. */
static gboolean how_forks(enum how how) {
  return how != HOW_ROOT && how != HOW_VFORK && how != HOW_SPAWN && how != HOW_SYSTEM && how != HOW_POPEN;
}

char *process_ending(const struct process *process) {
  switch (process->ending) {
    case ENDING_EXITED:
      return g_strdup_printf("exit %d", process->status);
    case ENDING_SIGNALED: {
      const char *name = sigabbrev_np(process->status);
      return name != NULL ? g_strconcat("SIG", name, NULL) : g_strdup_printf("signal %d", process->status);
    }
    case ENDING_NONE:
      return g_strdup("still runs");
    default:
      return g_strdup("ended");
  }
}

/* ---- Processes ---- */

static void free_callback(gpointer data) {
  struct callback *callback = data;
  g_free(callback->object);
  g_free(callback->name);
  g_free(callback);
}

static void free_fork(gpointer data) {
  struct fork_event *event = data;
  g_ptr_array_unref(event->callbacks);
  g_free(event->thread);
  g_free(event);
}

static void free_exec(gpointer data) {
  struct exec_event *event = data;
  g_free(event->path);
  g_free(event);
}

static void free_process(gpointer data) {
  struct process *process = data;
  g_ptr_array_unref(process->children);
  g_ptr_array_unref(process->forks);
  g_ptr_array_unref(process->execs);
  g_array_unref(process->modules);
  g_strfreev(process->arguments);
  g_free(process->program);
  g_free(process->first);
  g_free(process->lineage);
  g_free(process->thread);
  g_free(process->went_on_by);
  g_free(process);
}

static struct process *add_process(struct model *model, struct process *parent, pid_t pid, guint64 time) {
  struct process *process = g_new0(struct process, 1);
  process->id = model->processes->len + 1;
  process->pid = pid;
  process->parent = parent;
  process->born = time;
  process->children = g_ptr_array_new();
  process->forks = g_ptr_array_new_with_free_func(free_fork);
  process->execs = g_ptr_array_new_with_free_func(free_exec);
  process->modules = g_array_new(FALSE, FALSE, sizeof(struct module));
  process->thread = g_strdup("");
  if (parent != NULL) {
    g_ptr_array_add(parent->children, process);
    process->program = g_strdup(parent->program);
    process->first = g_strdup(parent->program);
    process->arguments = g_strdupv(parent->arguments);
    g_array_append_vals(process->modules, parent->modules->data, parent->modules->len);
  }
  g_ptr_array_add(model->processes, process);
  g_hash_table_insert(model->by_pid, GINT_TO_POINTER(pid), process);
  return process;
}

static struct process *by_pid(const struct model *model, pid_t pid) {
  return g_hash_table_lookup(model->by_pid, GINT_TO_POINTER(pid));
}

static struct process *by_number(const struct model *model, guint64 number) {
  return g_hash_table_lookup(model->by_number, GUINT_TO_POINTER((guint)number));
}

static void name_lineage(struct process *process) {
  g_free(process->lineage);
  process->lineage = g_strdup_printf("%s.%u", process->parent->lineage, process->birth->index);
  for (guint i = 0; i < process->children->len; i++) name_lineage(g_ptr_array_index(process->children, i));
}

/* Gives it a number among the processes that its parent made. */
static void set_place(struct process *process, struct fork_event *birth) {
  process->birth = birth;
  process->how = birth->how;
  birth->child = process;
  if (birth->pid == 0) birth->pid = process->pid;
  g_free(process->thread);
  process->thread = g_strdup(birth->thread);
  name_lineage(process);
}

static void set_program(struct process *process, const char *path) {
  g_free(process->program);
  process->program = g_strdup(path);
}

struct model *model_new(pid_t root) {
  struct model *model = g_new0(struct model, 1);
  model->processes = g_ptr_array_new_with_free_func(free_process);
  model->by_number = g_hash_table_new(NULL, NULL);
  model->by_pid = g_hash_table_new(NULL, NULL);
  model->forks = g_hash_table_new(g_int64_hash, g_int64_equal);
  model->strings = g_string_chunk_new(4096);
  model->root = add_process(model, NULL, root, 0);
  model->root->lineage = g_strdup("0");
  model->root->how = HOW_ROOT;
  return model;
}

void model_free(struct model *model) {
  g_hash_table_unref(model->by_number);
  g_hash_table_unref(model->by_pid);
  g_hash_table_unref(model->forks);
  g_ptr_array_unref(model->processes);
  g_string_chunk_free(model->strings);
  g_free(model);
}

struct process *model_of_pid(const struct model *model, pid_t pid) {
  for (guint i = model->processes->len; i > 0; i--) {
    struct process *process = g_ptr_array_index(model->processes, i - 1);
    if (process->pid == pid) return process;
  }
  return NULL;
}

struct fork_event *model_fork(const struct model *model, guint64 id) {
  return g_hash_table_lookup(model->forks, &id);
}

static struct fork_event *add_fork(struct process *parent, enum how how, guint64 time) {
  g_assert(parent != NULL); /* the root is there from the start */
  struct fork_event *event = g_new0(struct fork_event, 1);
  event->how = how;
  event->index = ++parent->made;
  event->parent = parent;
  event->time = time;
  event->thread = g_strdup("");
  event->callbacks = g_ptr_array_new_with_free_func(free_callback);
  g_ptr_array_add(parent->forks, event);
  return event;
}

/* The child is another program from the start, and knows at most its parent's pid. */
gboolean how_starts(enum how how) {
  return how == HOW_VFORK || how == HOW_SPAWN || how == HOW_SYSTEM || how == HOW_POPEN;
}

/* The oldest fork that such a child may come from. */
static struct fork_event *childless(struct process *parent, pid_t pid) {
  for (guint i = 0; i < parent->forks->len; i++) {
    struct fork_event *event = g_ptr_array_index(parent->forks, i);
    if (how_starts(event->how) && event->child == NULL && event->error == 0 && (event->pid == 0 || event->pid == pid))
      return event;
  }
  return NULL;
}

/* A process that has written no record so far; `id` is the fork that made it, or 0. */
static struct process *add_unknown(struct model *model, guint64 id, pid_t ppid, pid_t pid, guint64 time) {
  struct fork_event *birth = model_fork(model, id);
  if (birth != NULL && birth->child != NULL) birth = NULL;
  struct process *parent = birth != NULL ? birth->parent : by_pid(model, ppid);
  if (parent == NULL) parent = model->root; /* its parent has ended, or is not watched */
  struct process *process = add_process(model, parent, pid, time);
  if (birth == NULL) birth = childless(parent, pid);
  if (birth == NULL) birth = add_fork(parent, HOW_UNSEEN, time);
  process->born = birth->time;
  set_place(process, birth);
  return process;
}

/* The parent's record says which process its fork made, after the process was taken for another fork's child. */
static void claim(struct fork_event *event, pid_t pid) {
  struct process *parent = event->parent;
  for (guint i = parent->children->len; how_starts(event->how) && event->pid != pid && i > 0; i--) {
    struct process *child = g_ptr_array_index(parent->children, i - 1);
    if (child->pid != pid || !how_starts(child->how)) continue;
    struct fork_event *other = child->birth;
    struct process *former = event->child;
    other->child = former;
    other->pid = 0;
    if (former != NULL) set_place(former, other);
    event->pid = 0;
    set_place(child, event);
  }
  event->pid = pid;
  if (event->child != NULL && event->child->apart) event->child->pid = pid;
}

static void set_status(struct process *process, int status) {
  process->ending = WIFSIGNALED(status) ? ENDING_SIGNALED : ENDING_EXITED;
  process->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- What each record tells ---- */

static char **arguments_of(const struct record *record) {
  GPtrArray *arguments = g_ptr_array_new();
  const char *at = record_text(record), *end = at + record->text;
  for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) g_ptr_array_add(arguments, g_strdup(at));
  g_ptr_array_add(arguments, NULL);
  return (char **)g_ptr_array_free(arguments, FALSE);
}

static void add_exec_event(struct process *process, guint64 time, const char *path) {
  struct exec_event *event = g_new0(struct exec_event, 1);
  event->time = time;
  event->path = g_strdup(path);
  event->unwatched = -1;
  g_ptr_array_add(process->execs, event);
  process->execed = TRUE;
}

static struct process *add_loaded(struct model *model, const struct record *record) {
  struct process *process = by_pid(model, record->pid);
  if (process == NULL) process = add_unknown(model, 0, (pid_t)record->words[0], record->pid, record->time);
  if (process == model->root && process->born == 0) process->born = record->time;
  if (process->loaded) add_exec_event(process, record->time, record_string(record, 0)); /* by a raw system call */
  process->loaded = TRUE;
  if (!how_forks(process->how)) process->execed = TRUE;
  if (process->first == NULL || (process->execs->len == 0 && how_starts(process->how))) {
    g_free(process->first);
    process->first = g_strdup(record_string(record, 0));
  }
  set_program(process, record_string(record, 0));
  g_strfreev(process->arguments);
  process->arguments = arguments_of(record);
  const struct module parting = {.time = record->time};
  g_array_append_val(process->modules, parting);
  g_hash_table_insert(model->by_number, GUINT_TO_POINTER(record->process), process);
  return process;
}

/* Inserts it after the handlers that ran before it. */
static guint64 time_of_birth(const struct fork_event *event) {
  guint64 time = event->time;
  for (guint i = 0; i < event->callbacks->len; i++) {
    const struct callback *callback = g_ptr_array_index(event->callbacks, i);
    if (callback->phase == 0) time = MAX(time, callback->time + callback->nanoseconds);
  }
  return time;
}

/* The parent may have written its pid before.  Two processes may name the same fork: if a child has made a process in
 * an unseen way before its own first watched call. */
static struct process *add_born(struct model *model, const struct record *record) {
  struct fork_event *birth = model_fork(model, record->words[0]);
  struct process *process = birth == NULL ? NULL : birth->child;
  gboolean apart = birth != NULL && record->words[1] == 0; /* its parent is not in its namespace */
  if (process == NULL || (process->pid != record->pid && !apart)) {
    enum how how = process == NULL ? (enum how)record->words[2] : HOW_UNSEEN;
    struct process *parent = birth != NULL && process == NULL ? birth->parent : by_pid(model, (pid_t)record->words[1]);
    if (parent == NULL) parent = birth != NULL ? birth->parent : model->root;
    if (birth == NULL || process != NULL || (birth->pid != 0 && birth->pid != record->pid))
      birth = add_fork(parent, how, record->time);
    if (birth->id == 0) {
      g_free(birth->thread);
      birth->thread = g_strdup(record_string(record, 0));
      birth->handlers = (guint)record->words[3];
    }
    process = add_process(model, parent, record->pid, time_of_birth(birth));
    process->loaded = TRUE;
    set_place(process, birth);
  }
  process->apart = apart;
  if (apart) g_hash_table_insert(model->by_pid, GINT_TO_POINTER(record->pid), process);
  g_hash_table_insert(model->by_number, GUINT_TO_POINTER(record->process), process);
  return process;
}

static void add_begun(struct model *model, struct process *process, const struct record *record) {
  struct fork_event *event = add_fork(process, (enum how)record->words[1], record->time);
  event->id = record->words[0];
  event->tid = record->tid;
  event->threads = (guint)record->words[2];
  event->handlers = (guint)record->words[3];
  event->in_signal = record->words[4] != 0;
  g_free(event->thread);
  event->thread = g_strdup(record_string(record, 0));
  record_stack(record, &event->stack);
  g_hash_table_insert(model->forks, &event->id, event);
}

static void add_forked(struct model *model, const struct record *record) {
  struct fork_event *event = model_fork(model, record->words[0]);
  if (event == NULL) return;
  gint64 pid = (gint64)record->words[1];
  if (pid < 0)
    event->error = (int)-pid;
  else
    claim(event, (pid_t)pid);
  event->nanoseconds = record->words[2];
  if (pid <= 0 || event->child != NULL) return;
  struct process *child = add_process(model, event->parent, event->pid, time_of_birth(event));
  child->loaded = how_forks(event->how);
  set_place(child, event);
}

/* Its child may have written a record before, or none at all. */
static void add_spawn(struct model *model, const struct record *record) {
  struct fork_event *event = model_fork(model, record->words[0]);
  if (event == NULL) return;
  gint64 pid = (gint64)record->words[1];
  event->nanoseconds = record->words[2];
  if (pid < 0) event->error = (int)-pid;
  if (pid <= 0) return;
  claim(event, (pid_t)pid);
  if (event->child != NULL) return;
  struct process *child = add_process(model, event->parent, (pid_t)pid, event->time);
  g_free(child->first);
  child->first = g_strdup(record_string(record, 0));
  set_program(child, child->first);
  child->execed = TRUE;
  set_place(child, event);
}

static struct process *add_exec(struct model *model, struct process *process, const struct record *record) {
  if (process == NULL)
    process = add_unknown(model, record->words[0], (pid_t)record->words[1], record->pid, record->time);
  add_exec_event(process, record->time, record_string(record, 0));
  process->loaded = FALSE;
  return process;
}

static struct exec_event *last_exec(const struct process *process) {
  return process->execs->len == 0 ? NULL : g_ptr_array_index(process->execs, process->execs->len - 1);
}

static void add_exec_failed(struct process *process, const struct record *record) {
  struct exec_event *event = last_exec(process);
  if (event == NULL) return;
  event->error = (int)record->words[0];
  process->execed = FALSE;
  process->loaded = TRUE;
}

static void add_unwatched(struct process *process, const struct record *record) {
  struct exec_event *event = last_exec(process);
  if (event == NULL) return;
  event->unwatched = (int)record->words[0];
  set_program(process, event->path);
}

void model_end(struct model *model, struct process *process, guint64 time, int status) {
  if (process->end == 0) process->end = time;
  if (status >= 0) set_status(process, status);
  if (process->ending == ENDING_NONE) process->ending = ENDING_UNKNOWN;
  if (by_pid(model, process->pid) == process) g_hash_table_remove(model->by_pid, GINT_TO_POINTER(process->pid));
}

/* The newest of this pid. */
static struct process *find_child(const struct process *parent, pid_t pid) {
  for (guint i = parent->children->len; i > 0; i--) {
    struct process *child = g_ptr_array_index(parent->children, i - 1);
    if (child->pid == pid) return child;
  }
  return NULL;
}

static void add_waited(struct model *model, struct process *parent, const struct record *record) {
  pid_t pid = (pid_t)record->words[0];
  struct process *process = by_pid(model, pid);
  if (process == NULL && parent != NULL) process = find_child(parent, pid);
  if (process == NULL) process = add_unknown(model, 0, record->pid, pid, record->time);
  model_end(model, process, record->time, (int)record->words[1]);
}

static struct process *add_exit(struct model *model, struct process *process, const struct record *record) {
  if (process == NULL)
    process = add_unknown(model, record->words[2], (pid_t)record->words[3], record->pid, record->time);
  process->ending = ENDING_EXITED;
  process->status = (int)(record->words[0] & 0xff);
  process->end = record->time;
  return process;
}

static void add_module(struct model *model, struct process *process, const struct record *record) {
  struct module module = {record->time, record->words[0], record->words[1], record->words[2],
                          g_string_chunk_insert_const(model->strings, record_string(record, 0))};
  g_array_append_val(process->modules, module);
}

/* Paths from the dynamic linker may have "..", from RUNPATH: "/usr/bin/../lib/libfoo.so". */
static char *without_dots(const char *path) {
  return *path == '/' ? g_canonicalize_filename(path, NULL) : g_strdup(path);
}

static void add_callback(struct model *model, struct process *process, const struct record *record) {
  struct fork_event *event = model_fork(model, record->words[0]);
  if (event == NULL && record->words[1] == 2)
    event = process->birth; /* of a worker that was spawned: atfork_spawned(), atfork_adopt() */
  if (event == NULL) return;
  struct callback *callback = g_new0(struct callback, 1);
  callback->phase = (guint)record->words[1];
  callback->nanoseconds = record->words[2];
  callback->time = record->time - record->words[2];
  callback->function = record->words[3];
  callback->data = record->words[4];
  callback->priority = (gint)(gint64)record->words[5];
  callback->kind = (enum callback_kind)record->words[6];
  callback->unloaded = record->words[7] != 0;
  callback->object = without_dots(record_string(record, 0));
  callback->name = g_strdup(record_string(record, 1));
  callback->process = process;
  g_ptr_array_add(event->callbacks, callback);
}

static void add_goes_on(struct process *process, const struct record *record) {
  process->went_on = TRUE;
  g_free(process->went_on_by);
  process->went_on_by = g_strdup(record_string(record, 0));
}

/* For a record of a process that is known already. */
static void add_known(struct model *model, struct process *process, const struct record *record) {
  switch ((enum record_kind)record->kind) {
    case RECORD_FORK:
      add_begun(model, process, record);
      break;
    case RECORD_EXEC_FAILED:
      add_exec_failed(process, record);
      break;
    case RECORD_UNWATCHED:
      add_unwatched(process, record);
      break;
    case RECORD_MODULE:
      add_module(model, process, record);
      break;
    case RECORD_CALLBACK:
      add_callback(model, process, record);
      break;
    case RECORD_GOES_ON:
      add_goes_on(process, record);
      break;
    default:
      break; /* for others to tell */
  }
}

struct process *model_add(struct model *model, const struct record *record) {
  if (model->begin == 0) model->begin = record->time;
  if (record->kind == RECORD_LOADED) return add_loaded(model, record);
  if (record->kind == RECORD_BORN) return add_born(model, record);
  struct process *process = record->process != 0 ? by_number(model, record->process) : by_pid(model, record->pid);
  if (record->kind == RECORD_EXEC) process = add_exec(model, process, record);
  if (record->kind == RECORD_EXIT) process = add_exit(model, process, record);
  if (record->kind == RECORD_FORKED) add_forked(model, record);
  if (record->kind == RECORD_SPAWNED) add_spawn(model, record);
  if (record->kind == RECORD_WAITED) add_waited(model, process, record);
  if (process != NULL) add_known(model, process, record);
  return process;
}

/* A child that ended before it wrote a record. */
static void find_untold(struct model *model, const struct process *process) {
  for (guint i = 0; i < process->forks->len; i++) {
    struct fork_event *event = g_ptr_array_index(process->forks, i);
    if (event->child != NULL || event->pid <= 0) continue;
    struct process *child = add_process(model, event->parent, event->pid, time_of_birth(event));
    set_place(child, event);
  }
}

gboolean process_has_own_pids(const struct process *process) {
  for (const struct process *above = process->parent; above != NULL; above = above->parent)
    if (above->apart) return TRUE;
  return FALSE;
}

static gboolean runs(const struct process *process) {
  return !process_has_own_pids(process) && kill(process->pid, 0) == 0;
}

void model_finish(struct model *model, int status) {
  guint64 now = (guint64)g_get_monotonic_time() * 1000;
  set_status(model->root, status);
  if (model->root->end == 0) model->root->end = now;
  if (model->begin == 0) model->begin = now; /* there is no record */
  if (model->root->born == 0) model->root->born = model->begin;
  for (guint i = 0, told = model->processes->len; i < told; i++)
    find_untold(model, g_ptr_array_index(model->processes, i));
  for (guint i = 0; i < model->processes->len; i++) {
    struct process *process = g_ptr_array_index(model->processes, i);
    if (process->ending == ENDING_NONE && !runs(process)) process->ending = ENDING_UNKNOWN;
  }
}

const char *unwatched_name(int unwatched) {
  switch (unwatched) {
    case UNWATCHED_STATIC:
      return "linked statically";
    case UNWATCHED_SETUID:
      return "runs as another user or group (setuid), or has file capabilities";
    case UNWATCHED_FOREIGN:
      return "for another processor or C library";
    case UNWATCHED_FORBIDDEN:
      return "may not open the log (another user, or a sandbox)";
    case UNWATCHED_HIDDEN:
      return "cannot find the log (removed, or other mounts or root directory)";
    default:
      return NULL;
  }
}

const char *process_known_unwatched(const struct process *process) {
  if (process->loaded) return NULL;
  const struct exec_event *exec = last_exec(process);
  if (exec != NULL) return unwatched_name(exec->unwatched);
  if (process->program == NULL || !how_starts(process->how)) return NULL;
  /* It was spawned by a program that did not check it. */
  return unwatched_name(launch_unwatched(process->program));
}

const char *process_unwatched(const struct process *process) {
  gboolean started = process->execed || process->how == HOW_ROOT;
  if (!started || process->loaded) return NULL;
  const char *known = process_known_unwatched(process);
  return known != NULL ? known
                       : "it wrote no record: it ended too early, its loader ignored LD_PRELOAD, or there was no space";
}

/* The newest module that contains the address: an older one has been unloaded. */
const struct module *process_module(const struct process *process, guint64 address, guint64 time) {
  for (guint i = process->modules->len; i > 0; i--) {
    const struct module *module = &g_array_index(process->modules, struct module, i - 1);
    if (time != 0 && module->time > time) continue;
    if (time != 0 && module->path == NULL) return NULL;
    if (address >= module->first && address < module->end) return module;
  }
  return NULL;
}

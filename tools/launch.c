/* SPDX-License-Identifier: MIT */
#include "launch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define SHELL "/bin/sh"

enum { LOG_MOST = 256 << 20, LOG_LEAST = 1 << 20, PATIENCE = 50 /* ms */, GATHERING = 5 /* ms */ };

/* ---- What is started ---- */

static char *find_from(const char *directory, const char *file) {
  char *path = g_build_filename(directory, file, NULL);
  if (g_file_test(path, G_FILE_TEST_EXISTS)) return path;
  g_free(path);
  return NULL;
}

/* An installation may be moved, or lie below DESTDIR. */
static char *find_library(const char *file) {
  g_autofree char *link = g_file_read_link("/proc/self/exe", NULL);
  const char *self = link != NULL ? link : (const char *)getauxval(AT_EXECFN); /* there may be no /proc */
  g_autofree char *beside = g_path_get_dirname(self);
  g_autofree char *moved = g_build_filename(beside, TOOLS_FROM_BINDIR, NULL);
  char *path = find_from(beside, file);
  if (path == NULL) path = find_from(moved, file);
  if (path == NULL) path = find_from(TOOLS_LIBDIR, file);
  return path;
}

char *launch_find_library(const char *file) {
  char *path = find_library(file);
  if (path == NULL) g_printerr("atfork: %s is missing in %s\n", file, TOOLS_LIBDIR);
  return path;
}

/* Blanks and colons separate paths there, and the loader replaces what comes after a dollar sign. */
static gboolean is_preloadable(const char *path) {
  return strpbrk(path, " :$") == NULL;
}

gboolean launch_can_preload(const char *path) {
  if (is_preloadable(path)) return TRUE;
  g_printerr("atfork: %s: a path in LD_PRELOAD must not have a blank, a colon or a dollar sign\n", path);
  return FALSE;
}

/* Its loader's path: "" where it has none. */
static char *find_interpreter(const char *bytes, gsize size) {
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)bytes;
  for (guint i = 0; i < header->e_phnum; i++) {
    guint64 at = header->e_phoff + (guint64)i * header->e_phentsize;
    Elf64_Phdr segment;
    if (at + sizeof segment > size) break;
    memcpy(&segment, bytes + at, sizeof segment);
    if (segment.p_type == PT_INTERP && segment.p_offset < size)
      return g_strndup(bytes + segment.p_offset, MIN(segment.p_filesz, size - segment.p_offset));
  }
  return g_strdup("");
}

static gboolean is_nosuid(const char *program) {
  struct statvfs mounted;
  return statvfs(program, &mounted) == 0 && (mounted.f_flag & ST_NOSUID) != 0;
}

/* The loader ignores LD_PRELOAD for programs that run as another user, or with capabilities of the file.  With
 * no_new_privs, as in many containers, the kernel ignores the two bits; a mount with nosuid hides the capabilities,
 * too. */
static gboolean is_privileged(const char *program) {
  struct stat status;
  if (stat(program, &status) != 0 || is_nosuid(program)) return FALSE;
  if (geteuid() != 0 && getxattr(program, "security.capability", NULL, 0) > 0) return TRUE;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return FALSE;
  return ((status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid()) ||
         ((status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0 && status.st_gid != getegid());
}

int launch_unwatched(const char *program) {
  if (is_privileged(program)) return UNWATCHED_SETUID;
  g_autoptr(GMappedFile) file = g_mapped_file_new(program, FALSE, NULL);
  if (file == NULL) return -1;
  const char *bytes = g_mapped_file_get_contents(file);
  gsize size = g_mapped_file_get_length(file);
  if (size < sizeof(Elf64_Ehdr) || memcmp(bytes, ELFMAG, SELFMAG) != 0) return -1;
  if (bytes[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)) return UNWATCHED_FOREIGN;
  g_autofree char *interpreter = find_interpreter(bytes, size);
  if (strstr(interpreter, "musl") != NULL) return UNWATCHED_FOREIGN;
  return *interpreter == '\0' ? UNWATCHED_STATIC : -1;
}

char *launch_objection(const char *program) {
  switch (launch_unwatched(program)) {
    case UNWATCHED_SETUID:
      return g_strdup("it runs as another user or group (setuid), or has file capabilities");
    case UNWATCHED_FOREIGN:
      return g_strdup("it is for another kind of processor, or another C library, than this command");
    case UNWATCHED_STATIC:
      return g_strdup("it is linked statically, so no library can be loaded into it");
    default:
      return NULL;
  }
}

/* ---- The log ---- */

/* A longer file would end us by SIGXFSZ. */
static guint64 longest_file(void) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 ? (guint64)limit.rlim_cur : G_MAXUINT64;
}

/* In a directory with enough space: in memory, if possible. */
static char *log_directory(guint64 *size) {
  g_autofree char *temporary = g_canonicalize_filename(g_get_tmp_dir(), NULL); /* programs change their directory */
  const char *const directories[] = {"/dev/shm", temporary};
  char *best = NULL;
  *size = 0;
  for (guint i = 0; i < G_N_ELEMENTS(directories); i++) {
    struct statvfs space;
    if (access(directories[i], W_OK) != 0 || statvfs(directories[i], &space) != 0) continue;
    guint64 room = MIN((guint64)space.f_bavail * space.f_frsize / 2, MIN((guint64)LOG_MOST, longest_file()));
    if (room <= *size) continue;
    *size = room / 4096 * 4096;
    g_free(best);
    best = g_strdup(directories[i]);
  }
  return best;
}

static int make_log(struct launch *launch, const struct log_header *header) {
  guint64 size;
  g_autofree char *directory = log_directory(&size);
  if (directory == NULL || size < LOG_LEAST) {
    g_printerr("atfork: /dev/shm and %s are full or not writable, or ulimit -f is too small for a log\n",
               g_get_tmp_dir());
    return STATUS_TROUBLE;
  }
  launch->path = g_build_filename(directory, "atfork-XXXXXX", NULL);
  int fd = g_mkstemp_full(launch->path, O_RDWR | O_CLOEXEC, 0600);
  void *mapped = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 && posix_fallocate(fd, 0, LOG_STEP) == 0)
    mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  int saved = errno;
  if (fd >= 0) close(fd);
  if (mapped == MAP_FAILED) {
    g_printerr("atfork: cannot create a log in %s: %s\n", directory, g_strerror(saved));
    if (fd >= 0) unlink(launch->path);
    g_clear_pointer(&launch->path, g_free);
    return STATUS_TROUBLE;
  }
  launch->log = mapped;
  launch->size = size;
  memcpy(mapped, header, sizeof *header);
  launch->log->magic = LOG_MAGIC;
  launch->log->size = size;
  atomic_store(&launch->log->end, LOG_STEP);
  launch->position = (sizeof *header + RECORD_UNIT - 1) / RECORD_UNIT * RECORD_UNIT;
  atomic_store(&launch->log->tail, launch->position);
  return 0;
}

/* ---- A library that LD_PRELOAD cannot name ---- */

/* Each command has a link of its own, so it can remove it.  A process that goes on then hands the library on to no
 * program that it executes.  NULL after a message. */
static const char *link_beside_log(struct launch *launch, const char *library) {
  g_autofree char *link = g_strconcat(launch->path, ".so", NULL);
  if (!launch_can_preload(link)) return NULL;
  if (symlink(library, link) != 0) {
    g_printerr("atfork: cannot create the link %s to %s: %s\n", link, library, g_strerror(errno));
    return NULL;
  }
  return launch->link = g_steal_pointer(&link);
}

static void remove_files(const struct launch *launch) {
  unlink(launch->path);
  if (launch->link != NULL) unlink(launch->link);
}

/* ---- Start and end ---- */

char **launch_preload(const char *library) {
  char **env = g_get_environ();
  const char *old = g_environ_getenv(env, "LD_PRELOAD");
  g_autofree char *preload = old == NULL || *old == '\0' ? g_strdup(library) : g_strconcat(library, ":", old, NULL);
  env = g_environ_setenv(env, "LD_PRELOAD", preload, TRUE);
  /* If AddressSanitizer's runtime is a shared library, it refuses to start unless it comes first; this turns the check
   * off. */
  const char *asan = g_environ_getenv(env, "ASAN_OPTIONS");
  g_autofree char *options = g_strconcat("verify_asan_link_order=0", asan == NULL ? NULL : ":", asan, NULL);
  return g_environ_setenv(env, "ASAN_OPTIONS", options, TRUE);
}

static void nothing(int signal) {
  (void)signal;
}

static struct launch *forwards_for;

static void forward(int signal) {
  if (forwards_for != NULL && !forwards_for->ended) kill(forwards_for->pid, signal);
}

static const int ending[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
static struct sigaction before[G_N_ELEMENTS(ending)]; /* may be ignored, as by nohup(1) */

/* Signals of the terminal reach the whole group, so the command atfork ignores them.  A signal that is sent to atfork
 * alone is forwarded. */
static void set_signals(struct launch *launch) {
  forwards_for = launch;
  for (guint i = 0; i < G_N_ELEMENTS(ending); i++) {
    gboolean of_terminal = ending[i] == SIGINT || ending[i] == SIGQUIT;
    struct sigaction action = {.sa_handler = of_terminal ? SIG_IGN : forward};
    sigaction(ending[i], &action, &before[i]);
  }
  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGCHLD, &action, NULL); /* interrupts the wait for records */
}

static int spawn(struct launch *launch, const char *program, char **command, char **env, const sigset_t *mask) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attributes, mask);
  int error = posix_spawn(&launch->pid, program, NULL, &attributes, command, env);
  posix_spawnattr_destroy(&attributes);
  return error;
}

char **launch_script(const char *program, char **command) {
  GPtrArray *script = g_ptr_array_new();
  const guint count = g_strv_length(command);
  g_ptr_array_add(script, (gpointer)(guintptr)SHELL);
  g_ptr_array_add(script, (gpointer)(guintptr)program);
  for (guint i = 1; i <= count; i++) g_ptr_array_add(script, command[i]); /* and NULL */
  return (char **)g_ptr_array_free(script, FALSE);
}

static int start(struct launch *launch, const char *program, char **command, char **env, const sigset_t *mask) {
  int error = spawn(launch, program, command, env, mask);
  if (error == ENOEXEC) {
    g_autofree char **script = launch_script(program, command);
    error = spawn(launch, SHELL, script, env, mask);
  }
  if (error == 0) set_signals(launch);
  return error;
}

/* A path stays as it is: a script finds it in $0. */
static char *find_program(const char *command) {
  if (strchr(command, '/') == NULL) return g_find_program_in_path(command);
  if (!g_file_test(command, G_FILE_TEST_IS_EXECUTABLE) || g_file_test(command, G_FILE_TEST_IS_DIR)) return NULL;
  return g_strdup(command);
}

int launch_find_program(const char *who, const char *cannot, const char *command, char **program) {
  *program = find_program(command);
  if (*program == NULL) {
    gboolean there = strchr(command, '/') != NULL && access(command, F_OK) == 0;
    g_printerr("%s: %s: %s\n", who, command, there ? "cannot be executed" : "no such command");
    return there ? STATUS_CANNOT_EXECUTE : STATUS_NOT_FOUND;
  }
  g_autofree char *objection = launch_objection(*program);
  if (objection == NULL) return 0;
  g_printerr("%s: cannot %s %s: %s\n", who, cannot, *program, objection);
  return STATUS_TROUBLE;
}

/* No program was started. */
static void abandon(struct launch *launch) {
  remove_files(launch);
  launch_finish(launch);
}

/* Makes the log, and starts the program with this mask. */
static int make_and_start(struct launch *launch, const char *program, char **command, const char *library,
                          const struct log_header *header, const sigset_t *mask) {
  int status = make_log(launch, header);
  if (status != 0) return status;
  const char *preloaded = is_preloadable(library) ? library : link_beside_log(launch, library);
  if (preloaded == NULL) {
    abandon(launch);
    return STATUS_TROUBLE;
  }
  g_auto(GStrv) env = g_environ_setenv(launch_preload(preloaded), "ATFORK_WATCH_LOG", launch->path, TRUE);
  int error = start(launch, program, command, env, mask);
  if (error != 0) {
    g_printerr("atfork: %s: %s\n", program, g_strerror(error));
    abandon(launch);
    return error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE;
  }
  return 0;
}

/* What watches us hands its own log to all that we start. */
static gboolean is_watched(void) {
  const char *log = g_getenv("ATFORK_WATCH_LOG");
  return log != NULL && access(log, R_OK | W_OK) == 0;
}

/* Signals that arrive in between are blocked: one that ended us would leave the log behind. */
int launch_begin(struct launch *launch, char **command, const struct log_header *header) {
  g_autofree char *program = NULL;
  int status = launch_find_program("atfork", "watch", command[0], &program);
  if (status != 0) return status;
  if (is_watched()) {
    g_printerr("atfork: cannot watch %s: another atfork watches this one, and all that it starts\n", program);
    return STATUS_TROUBLE;
  }
  g_autofree char *library = launch_find_library("libatfork-watch.so");
  if (library == NULL) return STATUS_TROUBLE;
  sigset_t kept_back, mask;
  sigemptyset(&kept_back);
  for (guint i = 0; i < G_N_ELEMENTS(ending); i++) sigaddset(&kept_back, ending[i]);
  sigprocmask(SIG_BLOCK, &kept_back, &mask);
  status = make_and_start(launch, program, command, library, header, &mask);
  sigprocmask(SIG_SETMASK, &mask, NULL);
  return status;
}

/* Beyond it, even a read may ask the file system for space. */
static guint64 end_of(const struct launch *launch) {
  return MIN(MIN(atomic_load(&launch->log->tail), launch->size), atomic_load(&launch->log->end));
}

/* How many numbers a record of each kind has. */
static const guint8 numbers[RECORD_KINDS] = {
    [RECORD_LOADED] = 1,       [RECORD_UNWATCHED] = 1,    [RECORD_MODULE] = 3,      [RECORD_FORK] = 5,
    [RECORD_FORKED] = 3,       [RECORD_BORN] = 3,         [RECORD_EXEC] = 2,        [RECORD_EXEC_FAILED] = 1,
    [RECORD_SPAWNED] = 3,      [RECORD_EXIT] = 4,         [RECORD_WAITED] = 2,      [RECORD_CALLBACK] = 8,
    [RECORD_THREAD_LOST] = 5,  [RECORD_GOES_ON] = 1,      [RECORD_LOCK_HELD] = 5,   [RECORD_STUCK] = 7,
    [RECORD_WAITERS_LOST] = 5, [RECORD_DRAWN] = 5,        [RECORD_DESCRIPTOR] = 7,  [RECORD_LEAKED] = 3,
    [RECORD_OUTPUT] = 4,       [RECORD_EXIT_HANDLER] = 3, [RECORD_DELETED] = 4,     [RECORD_LIBRARY] = 2,
    [RECORD_PROBE] = 4,        [RECORD_LOCK_ANEW] = 2,    [RECORD_THREAD_USED] = 2, [RECORD_PROBED] = 3,
};

/* In a hole there may be what only looks like a record: an argument of a program, say.  What is not sound is a hole,
 * and has the size 0.  The size is read once: a process that writes anywhere may change it behind us. */
static guint32 sound_size(struct record *record, guint64 room) {
  /* Pairs with the release of the writer. */
  guint32 size = atomic_load_explicit(&record->size, memory_order_acquire);
  if (record->magic != RECORD_MAGIC || record->kind >= RECORD_KINDS || record->pid <= 0) return 0;
  if (record->args < numbers[record->kind] || record->args > RECORD_ARGS || record->frames > RECORD_FRAMES) return 0;
  guint64 whole = sizeof *record + (record->args + record->frames) * sizeof(guint64) + record->text;
  if (size % RECORD_UNIT != 0 || size < whole || size > room) return 0;
  return record->text == 0 || record_text(record)[record->text - 1] == '\0' ? size : 0;
}

static struct record *record_at(const struct launch *launch, guint64 at) {
  return (struct record *)(void *)((char *)launch->log + at);
}

/* A writer that was killed leaves a hole: goes to the first unit behind it that a record begins at.  The size of that
 * record, or 0. */
static guint32 pass_hole(struct launch *launch, guint64 tail) {
  for (guint64 at = launch->position + RECORD_UNIT; at + sizeof(struct record) <= tail; at += RECORD_UNIT) {
    guint32 size = sound_size(record_at(launch, at), tail - at);
    if (size == 0) continue;
    launch->holes++;
    launch->position = at;
    return size;
  }
  return 0;
}

static gboolean read_records(struct launch *launch, record_handler handler, gpointer data, gboolean over_holes) {
  gboolean any = FALSE;
  for (;;) {
    guint64 tail = end_of(launch);
    if (launch->position + sizeof(struct record) > tail) return any;
    guint32 size = sound_size(record_at(launch, launch->position), tail - launch->position);
    if (size == 0 && over_holes) size = pass_hole(launch, tail);
    if (size == 0) return any;
    handler(record_at(launch, launch->position), data);
    launch->position += size;
    any = TRUE;
  }
}

/* More records usually follow.  Waking the reader costs the writer, so the reader first waits for some to gather. */
static void sleep_for_records(struct launch *launch, gboolean any) {
  const struct timespec gathering = {0, GATHERING * 1000000L};
  if (any) {
    nanosleep(&gathering, NULL); /* SIGCHLD ends it */
    return;
  }
  atomic_store(&launch->log->sleeping, 1);
  guint32 seen = atomic_load(&launch->log->wake);
  struct timespec limit = {0, PATIENCE * 1000000L};
  guint64 end = MIN(launch->size, atomic_load(&launch->log->end)), at = launch->position;
  gboolean none = at + sizeof(struct record) > end || sound_size(record_at(launch, at), end - at) == 0;
  if (none) syscall(SYS_futex, &launch->log->wake, FUTEX_WAIT, seen, &limit, NULL, 0);
  atomic_store(&launch->log->sleeping, 0);
}

void launch_follow(struct launch *launch, record_handler handler, GSourceFunc idle, gpointer data) {
  guint quiet = 0;
  while (!launch->ended) {
    gboolean any = read_records(launch, handler, data, quiet * PATIENCE >= 1000);
    quiet = any ? 0 : quiet + 1;
    if (idle != NULL) idle(data);
    if (waitpid(launch->pid, &launch->status, WNOHANG) == launch->pid)
      launch->ended = TRUE;
    else
      sleep_for_records(launch, any);
  }
}

static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

void launch_follow_rest(struct launch *launch, record_handler handler, GSourceFunc more, gpointer data) {
  const int ends[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
  guint quiet = 0;
  for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(ends[i], &action, NULL);
  }
  do {
    gboolean any = read_records(launch, handler, data, quiet * PATIENCE >= 1000);
    quiet = any ? 0 : quiet + 1;
    sleep_for_records(launch, any);
  } while (!interrupted && more(data));
}

/* From here on a signal does what it did before.  No log is left: it is mapped, and has no name any more. */
static void let_be_ended(struct launch *launch) {
  remove_files(launch);
  for (guint i = 0; i < G_N_ELEMENTS(ending); i++) sigaction(ending[i], &before[i], NULL);
}

/* A process that still runs may be in the middle of a record, which is not yet a hole. */
static void read_to_end(struct launch *launch, record_handler handler, gpointer data) {
  for (guint i = 0; i < PATIENCE; i++) {
    read_records(launch, handler, data, FALSE);
    if (launch->position >= end_of(launch)) return;
    g_usleep(1000);
  }
  read_records(launch, handler, data, TRUE);
}

/* If there was no space, a hole may be where a record found none. */
static void tell_missing(const struct launch *launch) {
  guint64 missing = launch->lost != 0 ? launch->lost : launch->holes;
  const char *why = launch->lost != 0 ? "lost, as there was no space: the result may be incomplete"
                                      : "unfinished: a process ended, or was stopped, while it wrote";
  if (missing == 0) return;
  g_printerr("atfork: %" G_GUINT64_FORMAT " %s %s\n", missing, missing == 1 ? "record is" : "records are", why);
}

void launch_drain(struct launch *launch, record_handler handler, gpointer data) {
  read_to_end(launch, handler, data);
  let_be_ended(launch);
  launch->holes += launch->position < end_of(launch); /* the last was cut short */
  launch->lost = atomic_load(&launch->log->lost);
  tell_missing(launch);
}

void launch_finish(struct launch *launch) {
  munmap(launch->log, launch->size);
  g_clear_pointer(&launch->path, g_free);
  g_clear_pointer(&launch->link, g_free);
}

int launch_exit_status(const struct launch *launch, const char *unwatched) {
  if (unwatched != NULL) {
    g_printerr("atfork: the command was not watched to its end: %s\n", unwatched);
    return STATUS_TROUBLE;
  }
  return WIFSIGNALED(launch->status) ? 128 + WTERMSIG(launch->status) : WEXITSTATUS(launch->status);
}

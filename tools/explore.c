/* SPDX-License-Identifier: MIT */
/*
 * Finds a dead-lock instead of waiting for it: at each of the chosen lock operations of a command, another thread
 * forks, and the child does what children commonly do.  A child that hangs becomes a finding.
 */
#include "explore.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "launch.h"
#include "model.h"
#include "options.h"
#include "output.h"

struct explore {
  struct options options;
  gint64 runs;
  gint64 seed;
  gint wait;
  char *probe;
  struct model *model;
  struct findings *findings;
  GPtrArray *records; /* of struct told */
  GHashTable *known;  /* lines of lock and waiter -> struct finding */
  guint probes, crashed, late, missing;
};

struct told {
  struct process *process;
  const struct record *record;
};

/* ---- Which operations are probed ---- */

static gint compare_numbers(gconstpointer a, gconstpointer b) {
  guint64 one = *(const guint64 *)a, other = *(const guint64 *)b;
  return one < other ? -1 : one > other;
}

/* The limit that as many operations are below as there are to be probes: those with the smallest hashes. */
static guint64 choose(guint64 seed, guint64 wanted, guint64 operations) {
  if (wanted == 0 || operations <= wanted) return G_MAXUINT64;
  g_autoptr(GArray) hashes = g_array_sized_new(FALSE, FALSE, sizeof(guint64), (guint)MIN(operations, G_MAXUINT / 16));
  for (guint64 k = 1; k <= operations; k++) {
    guint64 hash = log_hash(seed, k);
    g_array_append_val(hashes, hash);
  }
  g_array_sort(hashes, compare_numbers);
  return g_array_index(hashes, guint64, (guint)wanted);
}

static void ignore(const struct record *record, gpointer data) {
  (void)record;
  (void)data;
}

/* By somebody who does not want another run. */
static gboolean was_interrupted(int status) {
  const int ends[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGKILL};
  for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
    if (WIFSIGNALED(status) && WTERMSIG(status) == ends[i]) return TRUE;
  return FALSE;
}

/* How many operations there are, in a run without probes.  Returns 0, or the status that we are to exit with. */
static int count_operations(char **command, guint64 *operations) {
  struct launch launch = {.path = NULL};
  struct log_header header = {.flags = WATCH_FORKS | WATCH_EXPLORE};
  int status = launch_begin(&launch, command, &header);
  if (status != 0) return status;
  launch_follow(&launch, ignore, NULL, NULL);
  launch_drain(&launch, ignore, NULL);
  *operations = atomic_load(&launch.log->operations);
  launch_finish(&launch);
  if (!was_interrupted(launch.status)) return 0;
  g_printerr("atfork explore: SIG%s ended the run that counts lock operations: nothing was probed\n",
             sigabbrev_np(WTERMSIG(launch.status)));
  return 128 + WTERMSIG(launch.status);
}

/* ---- What the probes told ---- */

static void take_record(const struct record *record, gpointer data) {
  struct explore *explore = data;
  struct process *process = model_add(explore->model, record);
  if (process == NULL) return;
  if (record->kind != RECORD_PROBE && record->kind != RECORD_PROBED && record->kind != RECORD_STUCK) return;
  struct told *told = g_new(struct told, 1);
  *told = (struct told){process, record};
  g_ptr_array_add(explore->records, told);
}

static gboolean is_probe(const struct process *process) {
  for (; process != NULL; process = process->parent)
    if (process->how == HOW_PROBE) return TRUE;
  return FALSE;
}

/* The latest probe before this record, as each probe ends before the next begins.  `lock` 0: any. */
static const struct told *probe_before(const struct explore *explore, guint at, guint64 lock) {
  for (guint i = at; i > 0; i--) {
    const struct told *told = g_ptr_array_index(explore->records, i - 1);
    if (told->record->kind != RECORD_PROBE) continue;
    return lock == 0 || told->record->words[1] == lock ? told : NULL;
  }
  return NULL;
}

static guint64 operation_of(const struct told *probe) {
  return probe == NULL ? 0 : probe->record->words[0];
}

static void locate(struct finding *finding, const char *role, const struct told *told) {
  struct frames frames;
  record_stack(told->record, &frames);
  finding_locate(finding, role, told->process, &frames);
}

/* One finding for each pair of lines, the one that took the lock and the one that waits. */
static char *lines_of(const struct finding *finding) {
  GString *text = g_string_new(finding->rule->id);
  for (guint i = 0; i < finding->locations->len; i++) {
    const struct location *location = g_ptr_array_index(finding->locations, i);
    const struct place *place = &g_array_index(location->places, struct place, 0);
    g_string_append_printf(text, " %s+%" G_GINT64_MODIFIER "x", place->object == NULL ? "?" : place->object,
                           place->object == NULL ? place->address : place->offset);
  }
  return g_string_free(text, FALSE);
}

static void add_finding(struct explore *explore, struct finding *finding) {
  GPtrArray *all = explore->findings->all;
  g_autofree char *lines = lines_of(finding);
  struct finding *known = g_hash_table_lookup(explore->known, lines);
  if (known != NULL) {
    known->count++;
    finding_free(finding);
    return;
  }
  findings_add(explore->findings, finding);
  /* Unless it was suppressed. */
  if (all->len > 0 && g_ptr_array_index(all, all->len - 1) == finding)
    g_hash_table_insert(explore->known, g_steal_pointer(&lines), finding);
}

static void find_stuck(struct explore *explore, guint at, const struct told *told) {
  const guint64 *words = told->record->words;
  gboolean lock = words[1] == STUCK_LOCK;
  const struct told *probe = probe_before(explore, at, 0), *holder = probe_before(explore, at, words[2]);
  const char *name = record_string(told->record, 0);
  struct finding *finding =
      lock ? finding_new("dead-lock", told->process,
                         "in a child forked at lock operation %" G_GUINT64_FORMAT
                         ", %s() waits for a lock that thread %s holds",
                         operation_of(probe), record_string(told->record, 1), *name == '\0' ? "?" : name)
           : finding_new("endless-wait", told->process,
                         "in a child forked at lock operation %" G_GUINT64_FORMAT ", %s() waits for a lost thread",
                         operation_of(probe), record_string(told->record, 1));
  if (holder != NULL)
    locate(finding, "the lock was taken", holder);
  else
    finding_locate_at(finding, "the lock was taken", told->process, words[5]);
  locate(finding, "the child waits", told);
  add_finding(explore, finding);
}

static void find_hung(struct explore *explore, guint at, const struct told *told) {
  const struct told *probe = probe_before(explore, at, 0);
  struct finding *finding =
      finding_new("dead-lock", told->process, "a child forked at lock operation %" G_GUINT64_FORMAT " hangs in %s",
                  told->record->words[0], record_string(told->record, 0));
  if (probe != NULL) locate(finding, "the lock was taken", probe);
  locate(finding, "the child waits", told);
  add_finding(explore, finding);
}

static void find_by_record(struct explore *explore, guint at) {
  const struct told *told = g_ptr_array_index(explore->records, at);
  if (told->record->kind == RECORD_PROBE) {
    explore->probes++;
  } else if (told->record->kind == RECORD_STUCK) {
    if (is_probe(told->process)) find_stuck(explore, at, told);
  } else if (told->record->words[1] == PROBED_HUNG) {
    find_hung(explore, at, told);
  } else {
    explore->crashed += told->record->words[1] == PROBED_CRASHED;
    explore->late += told->record->words[1] == PROBED_LATE;
    explore->missing += told->record->words[1] == PROBED_MISSING;
  }
}

/* By the line that took the lock, then by the line that waits: the order of the probes depends on the seed. */
static gint compare_findings(gconstpointer a, gconstpointer b) {
  const struct finding *one = *(struct finding *const *)a, *other = *(struct finding *const *)b;
  for (guint i = 0; i < MIN(one->locations->len, other->locations->len); i++) {
    const struct location *first = g_ptr_array_index(one->locations, i);
    const struct location *second = g_ptr_array_index(other->locations, i);
    for (guint k = 0; k < MIN(first->places->len, second->places->len); k++) {
      const struct place *here = &g_array_index(first->places, struct place, k);
      const struct place *there = &g_array_index(second->places, struct place, k);
      gint order = g_strcmp0(here->object, there->object);
      if (order != 0) return order;
      if (here->offset != there->offset) return here->offset < there->offset ? -1 : 1;
    }
  }
  return 0;
}

static void find_all(struct explore *explore) {
  for (guint i = 0; i < explore->records->len; i++) find_by_record(explore, i);
  g_ptr_array_sort(explore->findings->all, compare_findings);
}

/* ---- The command line ---- */

/* None of the programs that were probed has it. */
static gboolean is_nowhere(const struct explore *explore) {
  return explore->missing != 0 && explore->missing + explore->late >= explore->probes;
}

static void summarize(const struct explore *explore, guint64 operations) {
  g_printerr("atfork explore: %u of %" G_GUINT64_FORMAT " lock operations probed (seed %" G_GINT64_FORMAT ")",
             explore->probes, operations, explore->seed);
  if (explore->late != 0) g_printerr("; %u forks waited for the lock in a fork handler", explore->late);
  if (explore->crashed != 0) g_printerr("; %u probes crashed", explore->crashed);
  g_printerr("\n");
  if (is_nowhere(explore))
    g_printerr("atfork explore: the program exports no function %s (link it with -rdynamic)\n", explore->probe);
}

static int run_probes(struct explore *explore, char **command, guint64 choice) {
  struct launch launch = {.path = NULL};
  struct log_header header = {.flags = WATCH_FORKS | WATCH_EXPLORE,
                              .wait_limit = (guint32)explore->wait,
                              .choice = choice,
                              .seed = (guint64)explore->seed};
  g_strlcpy(header.probe, explore->probe == NULL ? "" : explore->probe, sizeof header.probe);
  int status = launch_begin(&launch, command, &header);
  if (status != 0) return status;
  output_survive_limit();
  explore->model = model_new(launch.pid);
  launch_follow(&launch, take_record, NULL, explore);
  launch_drain(&launch, take_record, explore);
  model_finish(explore->model, launch.status);
  find_all(explore);
  guint64 operations = atomic_load(&launch.log->operations);
  launch_finish(&launch);
  summarize(explore, operations);
  status = launch_exit_status(&launch, process_unwatched(explore->model->root));
  if (is_nowhere(explore)) status = STATUS_TROUBLE;
  status = options_write(&explore->options, explore->findings, explore->model, command, status);
  model_free(explore->model);
  return status;
}

static int run(struct explore *explore, char **command) {
  guint64 choice = G_MAXUINT64, operations = 0;
  if (explore->runs > 0) {
    int status = count_operations(command, &operations);
    if (status != 0) return status;
    choice = choose((guint64)explore->seed, (guint64)explore->runs, operations);
  }
  return run_probes(explore, command, choice);
}

static gboolean check(const struct explore *explore) {
  const struct options *options = &explore->options;
  if (explore->runs < 0) return options_misused(options, "--runs needs a number; 0 means all operations");
  if (explore->wait <= 0) return options_misused(options, "--wait needs a number of milliseconds");
  if (explore->probe != NULL && strlen(explore->probe) >= sizeof((struct log_header *)NULL)->probe)
    return options_misused(options, "--probe: the name is too long");
  return TRUE;
}

int explore_main(int argc, char **argv) {
  struct explore explore = {.options = {.tool = "explore"}, .runs = 200, .seed = 1, .wait = 1000};
  const GOptionEntry entries[] = {
      {"runs", 0, 0, G_OPTION_ARG_INT64, &explore.runs,
       "How many lock operations to fork at (default 200; 0: all). To choose them, the command is run once before",
       "N"},
      {"seed", 0, 0, G_OPTION_ARG_INT64, &explore.seed,
       "Chooses the operations: the same seed, the same ones (default 1)", "S"},
      {"probe", 0, 0, G_OPTION_ARG_STRING, &explore.probe, "Also call this function of the program in each child",
       "FUNCTION"},
      {"wait", 0, 0, G_OPTION_ARG_INT, &explore.wait, "How long a child may make no progress (default 1000 ms)", "MS"},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
  };
  explore.findings = findings_new();
  explore.records = g_ptr_array_new_with_free_func(g_free);
  explore.known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  int status = STATUS_TROUBLE;
  if (options_parse(&explore.options, entries,
                    "Forks at lock operations of a command, and reports where a child hangs.", &argc, &argv) &&
      check(&explore) && options_read_suppressions(&explore.options, explore.findings))
    status = explore.options.rules ? options_print_rules() : run(&explore, argv + 1);
  g_ptr_array_unref(explore.records);
  g_hash_table_unref(explore.known);
  findings_free(explore.findings);
  options_finish(&explore.options);
  g_free(explore.probe);
  return status;
}

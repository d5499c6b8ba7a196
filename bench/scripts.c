/* SPDX-License-Identifier: MIT */
/*
 * Hooks of a language against its peers: scripts LANGUAGE COMMAND {NAME CHILD-AIM REGISTER-PEER COMMAND}…
 * Each command is a worker (worker.h), which is told how many hooks, and how many forks a round, and answers with ns:
 * for a child hook, to register one, and for a child hook that is a C function; nan for what a peer has not.  An aim
 * may be empty.
 * BENCH_HOOKS says how many hooks, if not 10,000.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "worker.h"

enum value { CHILD, REGISTER, C_CHILD };
enum { PEERS_MAX = 4 };

struct peer {
  const char *name, *aim, *register_name, *command;
};

static struct results results[PEERS_MAX + 1];
static long hooks;

/* A peer that is not installed gives no answer. */
static bool start(struct worker *worker, const char *command) {
  char whole[4096];
  double values[VALUES_MAX];
  int length = snprintf(whole, sizeof whole, "%s %ld %ld", command, hooks, unless_quick(9, 3));
  require(length > 0 && (size_t)length < sizeof whole);
  worker_start_command(worker, whole);
  if (worker_measure(worker, values)) return true;
  worker_end(worker);
  return false;
}

static void print(const char *language, const char *what, const char *peer, enum measure measure, const char *aim,
                  const struct samples *ours, const struct samples *theirs) {
  char name[64];
  if (isnan(theirs->values[0])) return;
  snprintf(name, sizeof name, "%s: %s", language, what);
  struct figure figure = {
      .row = "scripts",
      .name = name,
      .hooks = hooks,
      .peer = peer,
      .unit = "ns",
      .measure = measure,
      .aim = aim[0] ? aim : NULL,
  };
  print_figure(&figure, ours, theirs);
}

static void print_peer(const char *language, const struct peer *peer, const struct results *theirs) {
  const struct results *ours = &results[0];
  print(language, "child hook", peer->name, NET_RATIO, peer->aim, &ours->values[CHILD], &theirs->values[CHILD]);
  print(language, "child hook in C", peer->name, NET_RATIO, peer->aim, &ours->values[C_CHILD],
        &theirs->values[C_CHILD]);
  print(language, "register", peer->register_name, RATIO, "", &ours->values[REGISTER], &theirs->values[REGISTER]);
}

int main(int argc, char **argv) {
  bench_init(argc, argv);
  if (quick) argc--;
  const char *wanted = getenv("BENCH_HOOKS");
  hooks = unless_quick(wanted != NULL ? atol(wanted) : 10000, 500);
  require(argc >= 3 && (argc - 3) % 4 == 0 && (argc - 3) / 4 <= PEERS_MAX);
  const char *language = argv[1];
  struct worker workers[PEERS_MAX + 1];
  struct peer peers[PEERS_MAX];
  size_t count = 0;
  require(start(&workers[0], argv[2]));
  for (int i = 3; i < argc; i += 4) {
    peers[count] = (struct peer){argv[i], argv[i + 1], argv[i + 2], argv[i + 3]};
    if (start(&workers[count + 1], peers[count].command))
      count++;
    else
      print_skipped("scripts", argv[i], "it does not run here");
  }
  workers_interleave(workers, results, count + 1, unless_quick(15, 3));
  for (size_t i = 0; i <= count; i++) worker_end(&workers[i]);
  for (size_t i = 0; i < count; i++) print_peer(language, &peers[i], &results[i + 1]);
  print(language, "child hook in C", "one of the script's", NET_RATIO, "", &results[0].values[C_CHILD],
        &results[0].values[CHILD]);
  return 0;
}

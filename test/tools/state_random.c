/* SPDX-License-Identifier: MIT */
/* Random numbers that two processes draw from one state, or do not. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

static char own_state[64];
static struct random_data random_data;
static struct drand48_data drand48_data;
static unsigned seed;
static unsigned short seeds[3];

static void draw_reentrant(void) {
  int32_t number;
  long integer;
  double real;
  if (is("random_r")) random_r(&random_data, &number);
  if (is("drand48_r")) drand48_r(&drand48_data, &real);
  if (is("lrand48_r")) lrand48_r(&drand48_data, &integer);
  if (is("mrand48_r")) mrand48_r(&drand48_data, &integer);
  if (is("erand48_r")) erand48_r(seeds, &drand48_data, &real);
  if (is("nrand48_r")) nrand48_r(seeds, &drand48_data, &integer);
  if (is("jrand48_r")) jrand48_r(seeds, &drand48_data, &integer);
}

static void draw(void) {
  if (is("rand")) rand();
  if (is("random")) random();
  if (is("rand_r")) rand_r(&seed);
  if (is("drand48")) drand48();
  if (is("lrand48")) lrand48();
  if (is("mrand48")) mrand48();
  if (is("erand48")) erand48(seeds);
  if (is("nrand48")) nrand48(seeds);
  if (is("jrand48")) jrand48(seeds);
  draw_reentrant();
}

static void seed_all(void) {
  long now = time(NULL);
  srand((unsigned)now);
  srand48(now);
  seed = (unsigned)now;
  seeds[0] = (unsigned short)now;
  initstate_r((unsigned)now, own_state, sizeof own_state, &random_data);
  srand48_r(now, &drand48_data);
}

static void draws(void) {
  seed_all();
  in_both(draw);
}

static void draw_rand(void) {
  rand();
}

static void draws_unseeded(void) {
  in_both(draw_rand);
}

static void draws_unseeded_again(void) {
  rand();
  in_both(draw_rand);
}

static void seed_and_draw(void) {
  srand(42);
  rand();
}

static void draws_seeded_alike(void) {
  srand(1);
  in_both(seed_and_draw);
}

static void draw_from_local(void) {
  unsigned local = 42;
  rand_r(&local);
}

static void draws_from_local(void) {
  in_both(draw_from_local);
}

static void draws_from_own_state(void) {
  initstate((unsigned)time(NULL), own_state, sizeof own_state);
  in_both(draw_rand);
}

static void draws_in_siblings(void) {
  pid_t children[2];
  srand((unsigned)time(NULL));
  for (int i = 0; i < 2; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      rand();
      _exit(0);
    }
  }
  for (int i = 0; i < 2; i++) wait_for(children[i]);
}

static void draws_after_second_fork(void) {
  srand((unsigned)time(NULL));
  pid_t child = fork();
  if (child == 0) _exit(0);
  wait_for(child);
  for (int i = 0; i < 5; i++) rand();
  in_both(draw_rand);
}

static void draws_other_numbers(void) {
  srand((unsigned)time(NULL));
  pid_t child = fork();
  if (child == 0) {
    srand((unsigned)getpid());
    rand();
    _exit(0);
  }
  wait_for(child);
  rand();
}

const struct state_case random_cases[] = {
    {"draws", draws},
    {"draws-unseeded", draws_unseeded},
    {"draws-unseeded-again", draws_unseeded_again},
    {"draws-seeded-alike", draws_seeded_alike},
    {"draws-from-local", draws_from_local},
    {"draws-from-own-state", draws_from_own_state},
    {"draws-in-siblings", draws_in_siblings},
    {"draws-after-second-fork", draws_after_second_fork},
    {"draws-other-numbers", draws_other_numbers},
    {NULL, NULL},
};

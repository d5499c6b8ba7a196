/* SPDX-License-Identifier: MIT */
/*
 * How good the streams are that workers are seeded with: what stands in doc/streams.md.
 *
 * streams interleaved     10,000 workers, each a xoshiro256** seeded by its atfork_seed_bytes(); a number of each in
 *                         turn, without end, as bytes
 * streams first           the first 8 bytes of one worker after the other, without end
 * streams seeds           atfork_seed() of one worker after the other, without end
 * streams pairs           how far the streams of parents and children, and of siblings, are alike
 * streams collisions      how many of 2^24 workers have the same first bits, and how many should have
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atfork.h>

#include "lineage.h" /* the library's own, as is the next one */
#include "sha256.h"

static const uint64_t base = 42;

/* ---- A worker, by its lineage: "0.1" … "0.10000", and below each "0.1.1" … ---- */

struct worker {
  char lineage[LINEAGE_MAX];
  size_t length;
};

static void child_of(struct worker *child, const struct worker *parent, uint64_t number) {
  child->length = atfork_lineage_of_child(child->lineage, parent->lineage, parent->length, false, number);
}

static const struct worker root = {"0", 1};

/* As atfork_seed_bytes(), which only knows of this process. */
static void bytes_of(const struct worker *worker, void *bytes, size_t size) {
  uint8_t seed[13 + 8 + LINEAGE_MAX + 4];
  memcpy(seed, "atfork1:seed:", 13);
  for (unsigned i = 0; i < 8; i++) seed[13 + i] = (uint8_t)(base >> (8 * i));
  memcpy(seed + 21, worker->lineage, worker->length);
  atfork_mgf1(bytes, size, seed, 21 + worker->length);
}

static uint64_t first_of(const struct worker *worker) {
  uint64_t first;
  bytes_of(worker, &first, sizeof first);
  return first;
}

static uint64_t seed_of(const struct worker *worker) {
  return atfork_lineage_hash(base, worker->lineage, worker->length);
}

static void check_root(void) {
  uint64_t bytes;
  atfork_seed_bytes(base, &bytes, sizeof bytes);
  if (first_of(&root) != bytes || seed_of(&root) != atfork_seed(base)) abort();
}

/* ---- xoshiro256** (Blackman, Vigna: "Scrambled linear pseudorandom number generators", 2021) ---- */

struct generator {
  uint64_t s[4];
};

static uint64_t rotate(uint64_t x, unsigned by) {
  return x << by | x >> (64 - by);
}

static uint64_t next(struct generator *g) {
  uint64_t *s = g->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

/* ---- Streams, for another program to test ---- */

enum { WORKERS = 10000 };

static void put(const uint64_t *numbers, size_t count) {
  if (fwrite(numbers, sizeof *numbers, count, stdout) != count) exit(0);
}

static void interleaved(void) {
  static struct generator generators[WORKERS];
  static uint64_t numbers[WORKERS];
  for (unsigned i = 0; i < WORKERS; i++) {
    struct worker worker;
    child_of(&worker, &root, i + 1);
    bytes_of(&worker, &generators[i], sizeof generators[i]);
  }
  for (;;) {
    for (unsigned i = 0; i < WORKERS; i++) numbers[i] = next(&generators[i]);
    put(numbers, WORKERS);
  }
}

static void one_after_the_other(uint64_t (*number_of)(const struct worker *worker)) {
  for (uint64_t i = 1;; i++) {
    struct worker worker;
    child_of(&worker, &root, i);
    uint64_t number = number_of(&worker);
    put(&number, 1);
  }
}

static void first(void) {
  one_after_the_other(first_of);
}

static void seeds(void) {
  one_after_the_other(seed_of);
}

/* ---- Pairs ---- */

enum { NUMBERS = 1000 };

/* Of two streams of numbers between -1/2 and 1/2. */
static double correlation(struct generator a, struct generator b) {
  double ab = 0, aa = 0, bb = 0;
  for (unsigned i = 0; i < NUMBERS; i++) {
    double x = (double)(next(&a) >> 11) * 0x1p-53 - 0.5, y = (double)(next(&b) >> 11) * 0x1p-53 - 0.5;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / sqrt(aa * bb);
}

struct sum {
  double of, of_squares, largest;
  unsigned long count;
};

static void add(struct sum *sum, double value) {
  sum->of += value;
  sum->of_squares += value * value;
  sum->largest = fmax(sum->largest, fabs(value));
  sum->count++;
}

/* If they have nothing to do with each other, the first two are like a normal deviate's. */
static void report(const char *what, const struct sum *sum) {
  double n = (double)sum->count;
  printf("%-44s mean %+.3f, variance %.4f, largest of %.0f %.2f\n", what, sum->of / sqrt(n), sum->of_squares / n, n,
         sum->largest);
}

static void compare(const struct worker *a, const struct worker *b, struct sum sums[3]) {
  struct generator of_a, of_b;
  bytes_of(a, &of_a, sizeof of_a);
  bytes_of(b, &of_b, sizeof of_b);
  add(&sums[0], correlation(of_a, of_b) * sqrt(NUMBERS));
  int differ = 0;
  for (unsigned i = 0; i < 4; i++) differ += __builtin_popcountll(of_a.s[i] ^ of_b.s[i]);
  add(&sums[1], (differ - 128) / 8.0);
  add(&sums[2], (__builtin_popcountll(seed_of(a) ^ seed_of(b)) - 32) / 4.0);
}

static void report_all(const char *who, const struct sum sums[3]) {
  static const char *const what[] = {"streams", "256 bits", "atfork_seed()"};
  char text[64];
  for (unsigned i = 0; i < 3; i++) {
    snprintf(text, sizeof text, "%s, %s:", who, what[i]);
    report(text, &sums[i]);
  }
}

static void pairs(void) {
  struct sum of_children[3] = {{0, 0, 0, 0}}, of_siblings[3] = {{0, 0, 0, 0}};
  for (uint64_t i = 1; i <= WORKERS; i++) {
    struct worker worker, sibling, child;
    child_of(&worker, &root, i);
    child_of(&sibling, &root, i + 1);
    child_of(&child, &worker, 1);
    compare(&worker, &child, of_children);
    compare(&worker, &sibling, of_siblings);
  }
  report_all("parent and child", of_children);
  report_all("siblings", of_siblings);
}

/* ---- Collisions ---- */

enum { MANY_LOG = 24, MANY = 1 << MANY_LOG, CHILDREN = 1 << 8 };

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Neighbours in order that have the same highest bits: so many more numbers there are than different ones. */
static void count_collisions(const char *what, uint64_t *numbers) {
  qsort(numbers, MANY, sizeof *numbers, by_value);
  for (unsigned bits = 36; bits <= 64; bits += 4) {
    unsigned long count = 0;
    for (size_t i = 1; i < MANY; i++) count += numbers[i] >> (64 - bits) == numbers[i - 1] >> (64 - bits);
    double values = ldexp(1, (int)bits), expected = MANY + values * expm1(MANY * log1p(-1 / values));
    printf("%-24s %u bits: %lu, expected %.1f, %+.2f deviations\n", what, bits, count, expected,
           ((double)count - expected) / sqrt(expected));
  }
}

/* Of three generations: 256 children of each of 256 children of 256. */
static void collisions(void) {
  uint64_t *of_bytes = malloc(MANY * sizeof *of_bytes), *of_seeds = malloc(MANY * sizeof *of_seeds);
  if (of_bytes == NULL || of_seeds == NULL) abort();
  for (size_t i = 0; i < MANY; i++) {
    struct worker child, grandchild, worker;
    child_of(&child, &root, i / CHILDREN / CHILDREN + 1);
    child_of(&grandchild, &child, i / CHILDREN % CHILDREN + 1);
    child_of(&worker, &grandchild, i % CHILDREN + 1);
    of_bytes[i] = first_of(&worker);
    of_seeds[i] = seed_of(&worker);
  }
  count_collisions("first bytes", of_bytes);
  count_collisions("atfork_seed()", of_seeds);
  free(of_bytes);
  free(of_seeds);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } tries[] = {
      {"interleaved", interleaved}, {"first", first}, {"seeds", seeds}, {"pairs", pairs}, {"collisions", collisions},
  };
  check_root();
  for (size_t i = 0; argc == 2 && i < sizeof tries / sizeof *tries; i++) {
    if (strcmp(tries[i].name, argv[1]) != 0) continue;
    tries[i].run();
    return 0;
  }
  fprintf(stderr, "streams interleaved|first|seeds|pairs|collisions\n");
  return 2;
}

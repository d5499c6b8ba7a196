/* SPDX-License-Identifier: MIT */
/* Promise 17: the bytes of a base and a lineage are the same for ever.  doc/streams.md has more of them, which
 * test/streams/check.py compares. */
#include <atfork.h>
#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h" /* the library's own, as is the next one */
#include "token.h"

static void check_hex(const uint8_t *bytes, size_t size, const char *expected) {
  char hex[2 * 128 + 1] = "";
  for (size_t i = 0; i < size; i++) g_snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
  g_assert_cmpstr(hex, ==, expected);
}

/* ---- SHA-256: of FIPS 180-4's examples, and of so many letters as make the last block just full, or just not ---- */

static void test_sha256(void) {
  static const struct {
    const char *message, *digest;
  } table[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    uint8_t digest[SHA256_SIZE];
    atfork_sha256(digest, (const uint8_t *)table[i].message, strlen(table[i].message));
    check_hex(digest, sizeof digest, table[i].digest);
  }
}

static void test_sha256_of_letters(void) {
  static const struct {
    size_t count;
    const char *digest;
  } table[] = {
      {1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
      {54, "a3f01b6939256127582ac8ae9fb47a382a244680806a3f613a118851c1ca1d47"},
      {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
      {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
      {63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
      {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
      {65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
      {118, "879dc4f05b19ebc3b037f4683633df1332b054cf52fa372d323c421cb893a2aa"},
      {119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
      {120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"},
      {127, "c57e9278af78fa3cab38667bef4ce29d783787a2f731d4e12200270f0c32320a"},
      {128, "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e"},
      {1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"},
  };
  uint8_t message[1000], digest[SHA256_SIZE];
  memset(message, 'a', sizeof message);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_test_message("%d letters", (int)table[i].count);
    atfork_sha256(digest, message, table[i].count);
    check_hex(digest, sizeof digest, table[i].digest);
  }
}

/* ---- Lineages with a rank: only the root has such children ---- */

static void test_ranks(void) {
  static const struct {
    const char *lineage;
    bool is_valid;
  } table[] = {
      {"0.r0", true},     {"0.r3", true},    {"0.r18446744073709551615.p7.1", true},
      {"0.r", false},     {"0.r.1", false},  {"0.rx", false},
      {"0.r03", false},   {"0.r00", false},  {"0.r100000000000000000000", false},
      {"0.r1.r2", false}, {"0.1.r2", false}, {"0r1", false},
      {"0.R1", false},    {"0.r-1", false},  {"~89abcdef01234567.r1", false},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_test_message("%s", table[i].lineage);
    g_assert_true(atfork_lineage_is_valid(table[i].lineage, strlen(table[i].lineage)) == table[i].is_valid);
  }
}

/* ---- The root's bytes ---- */

enum { LONGEST = 100, GUARD = '#' };

static const struct {
  uint64_t base;
  const char *bytes;
} roots[] = {
    {UINT64_C(0),
     "a8c230e6941d9d65cd7a9499f2bf4257cbbe675fd0cecf970aef722f716899863543cd4e12ceb16d8027ff09e2f6a76f55c2"
     "7f62f9e833d0f4100dba3cf66c6c45ecbcaf1173eaba355a84689a89e48f2cf4fbdc1efaa26c1244af0be046141a39f12483"},
    {UINT64_C(42),
     "1ae109f3259e4c9d3ea74a9e64212d238f85245bc7289f05c56ebc865f02786bdf8495e6e8ced9307fbd2241a6cf6c542761"
     "b6159accd3d45088d7877760f2773fadbe42a26853f6a379315556e218b031ecb253782a6c27126911b542816f6d3a9cb36c"},
    {UINT64_C(18446744073709551615),
     "d98cb79afa0c3efddad47e24a88e2114015e28139b57b05ca8221385f75cb3e88db5d9b17d04678c96a8cbe111f57b94b842"
     "75f51ac7ec583e85630ce496d5e5cf878366d64b08fbe7c283e3271b85b09815670fc80f946ad7dc2293140712be773d11a5"},
};

static void check_size(const char *expected, uint64_t base, size_t size) {
  uint8_t bytes[LONGEST + 2];
  char start[2 * LONGEST + 1];
  memset(bytes, GUARD, sizeof bytes);
  errno = ERANGE;
  atfork_seed_bytes(base, bytes + 1, size);
  g_assert_cmpint(errno, ==, ERANGE);
  memcpy(start, expected, 2 * size);
  start[2 * size] = '\0';
  check_hex(bytes + 1, size, start);
  g_assert_cmpint(bytes[0], ==, GUARD);
  g_assert_cmpint(bytes[size + 1], ==, GUARD);
}

/* The first of more are fewer; and of no size nothing is written. */
static void test_sizes(void) {
  static const size_t sizes[] = {0, 1, 31, 32, 33, 64, 65, LONGEST};
  for (size_t i = 0; i < G_N_ELEMENTS(roots); i++)
    for (size_t j = 0; j < G_N_ELEMENTS(sizes); j++) check_size(roots[i].bytes, roots[i].base, sizes[j]);
  atfork_seed_bytes(0, NULL, 0);
}

/* More than 256 digests: each byte of the counter but the highest has its turn. */
static void test_many(void) {
  static uint8_t bytes[66000 * SHA256_SIZE];
  atfork_seed_bytes(42, bytes, sizeof bytes);
  check_hex(bytes + 256 * SHA256_SIZE, SHA256_SIZE, "1289555856ff76e2175087de1412d16c0b1a5486f3d9b71fdc444b62441daecc");
  check_hex(bytes + 65536 * SHA256_SIZE, SHA256_SIZE,
            "fa629e8a461485de97f02ad555ed565bd3b8be0d1f5ae0c92986e9f7a67cc31b");
}

/* ---- Streams of many workers have nothing to do with each other; always the same ones, so no chance is in it ---- */

enum { WORKERS = 1 << 14, WORDS = 5 /* 4 of bytes, and the seed */, WORD_BITS = 64 };

/* As in the document; of the lineages "0.1", "0.2", … */
static void numbers_of(uint64_t worker, uint64_t numbers[WORDS]) {
  static const uint8_t start[] = "atfork1:seed:\x2a\0\0\0\0\0\0";
  uint8_t seed[sizeof start + LINEAGE_MAX + 4];
  char *lineage = (char *)seed + sizeof start;
  memcpy(seed, start, sizeof start);
  size_t length = atfork_lineage_of_child(lineage, "0", 1, false, worker);
  numbers[4] = atfork_lineage_hash(42, lineage, length);
  atfork_mgf1((uint8_t *)numbers, SHA256_SIZE, seed, sizeof start + length);
}

static int ones(uint64_t number) {
  return __builtin_popcountll(number);
}

/* Each bit is 1 in half of them, and differs from the next worker's in half: within 4.5 standard deviations, which are
 * 64 each.  For one base of 200, one of the 640 such figures is beyond that; not for this one. */
static void test_bits(void) {
  static int set[WORDS][WORD_BITS], changed[WORDS][WORD_BITS];
  uint64_t before[WORDS], here[WORDS];
  numbers_of(WORKERS, before);
  for (uint64_t worker = 1; worker <= WORKERS; worker++, memcpy(before, here, sizeof before)) {
    numbers_of(worker, here);
    for (int i = 0; i < WORDS * WORD_BITS; i++) {
      uint64_t bit = here[i / WORD_BITS] >> i % WORD_BITS, other = before[i / WORD_BITS] >> i % WORD_BITS;
      set[i / WORD_BITS][i % WORD_BITS] += (int)(bit & 1);
      changed[i / WORD_BITS][i % WORD_BITS] += (int)((bit ^ other) & 1);
    }
  }
  for (int i = 0; i < WORDS * WORD_BITS; i++) {
    g_assert_cmpint(abs(set[i / WORD_BITS][i % WORD_BITS] - WORKERS / 2), <, 288);
    g_assert_cmpint(abs(changed[i / WORD_BITS][i % WORD_BITS] - WORKERS / 2), <, 288);
  }
}

/* All bits of the numbers of one and of the next together differ in half, within as much. */
static void test_neighbours(void) {
  int differ[WORDS] = {0};
  uint64_t before[WORDS], here[WORDS];
  numbers_of(WORKERS, before);
  for (uint64_t worker = 1; worker <= WORKERS; worker++, memcpy(before, here, sizeof before)) {
    numbers_of(worker, here);
    for (int i = 0; i < WORDS; i++) differ[i] += ones(here[i] ^ before[i]);
  }
  for (int i = 0; i < WORDS; i++) g_assert_cmpint(abs(differ[i] - WORKERS * WORD_BITS / 2), <, 2304);
}

/* ---- The longest lineage that there is; last, as it is this process's from here on ---- */

static void test_longest_lineage(void) {
  char lineage[LINEAGE_MAX], token[TOKEN_MAX + 1];
  uint8_t bytes[SHA256_SIZE];
  struct token place = {.run = 7, .generation = 459, .lineage = lineage, .length = 1};
  lineage[0] = '0';
  while (place.length + 2 <= LINEAGE_MAX) {
    lineage[place.length++] = '.';
    lineage[place.length++] = '7';
  }
  token[atfork_token_write(token, &place)] = '\0';
  g_assert_cmpint(atfork_spawned(token), ==, 0);
  g_assert_cmpint(atfork_lineage(NULL, 0), ==, 919);
  atfork_seed_bytes(42, bytes, sizeof bytes);
  check_hex(bytes, sizeof bytes, "7ee47df4258ae00df141e7c93b474d35bae0a78827e399ca96b932de66380783");
  g_assert_cmpuint(atfork_run(), ==, 7);
}

/* Of the deepest process there is no child. */
static void test_deepest(void) {
  char token[TOKEN_MAX + 1], child[TOKEN_MAX + 1];
  struct token place = {.run = 7, .generation = TOKEN_DEEPEST - 1, .lineage = "0.1", .length = 3};
  token[atfork_token_write(token, &place)] = '\0';
  g_assert_cmpint(atfork_child_token(token, 1, child, sizeof child), >, 0);
  errno = 0;
  g_assert_cmpint(atfork_child_token(child, 1, token, sizeof token), ==, -1);
  g_assert_cmpint(errno, ==, EINVAL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/streams/sha256", test_sha256);
  g_test_add_func("/streams/sha256-of-letters", test_sha256_of_letters);
  g_test_add_func("/streams/ranks", test_ranks);
  g_test_add_func("/streams/sizes", test_sizes);
  g_test_add_func("/streams/many", test_many);
  g_test_add_func("/streams/bits", test_bits);
  g_test_add_func("/streams/neighbours", test_neighbours);
  g_test_add_func("/streams/deepest", test_deepest);
  g_test_add_func("/streams/longest-lineage", test_longest_lineage);
  return g_test_run();
}

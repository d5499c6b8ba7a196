/* SPDX-License-Identifier: MIT */
/*
 * Numbers that two processes draw from copies of one state.
 *
 * The position of a generator is known: which process seeded it, and how many numbers it has given since; or the state
 * itself, if it lies in the program's memory.  After a fork, each process records its first draws with the position.
 * The doctor looks for two processes that drew the same number at the same position.
 */
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "watch.h"

NEXT(rand);
NEXT(srand);
NEXT(random);
NEXT(srandom);
NEXT(initstate);
NEXT(setstate);
NEXT(random_r);
NEXT(srandom_r);
NEXT(initstate_r);
NEXT(rand_r);
NEXT(drand48);
NEXT(lrand48);
NEXT(mrand48);
NEXT(srand48);
NEXT(seed48);
NEXT(lcong48);
NEXT(erand48);
NEXT(nrand48);
NEXT(jrand48);
NEXT(drand48_r);
NEXT(lrand48_r);
NEXT(mrand48_r);
NEXT(srand48_r);
NEXT(seed48_r);
NEXT(erand48_r);
NEXT(nrand48_r);
NEXT(jrand48_r);

enum { TOLD = 2, GENERATORS = 256, NEAR = 8 };

struct generator {
  const void *of;      /* where its state is */
  uint64_t seeded;     /* process and number of the seeding; 0: the program never did */
  uint64_t drawn;      /* numbers since */
  uint64_t left;       /* a state in the program's memory, after the last draw */
  uint32_t generation; /* of forks, as of the last draw */
  uint32_t told;       /* draws since that fork */
};

/* Each generator is at one of NEAR places, from its first one on.  If there is no room, another generator is
 * forgotten. */
static struct generator generators[GENERATORS];
static struct generator random_generator, drand48_generator;
static uint32_t seedings;

/* The state of random(): its default, or the array given to initstate() or setstate(). */
static char default_state;
static const void *random_state = &default_state;

static struct generator *generator_of(const void *state) {
  static unsigned turn;
  if (state == &default_state) return &random_generator;
  uintptr_t address = (uintptr_t)state, first = address >> 3 ^ address >> 11;
  struct generator *free = &generators[(first + ++turn % NEAR) % GENERATORS];
  for (unsigned i = NEAR; i-- > 0;) {
    struct generator *generator = &generators[(first + i) % GENERATORS];
    if (generator->of == state) return generator;
    if (generator->of == NULL) free = generator;
  }
  *free = (struct generator){.of = state};
  return free;
}

static void seed(struct generator *generator) {
  if (!watches(WATCH_RANDOM)) return;
  uint64_t number = atomic_load_explicit(&self_get()->number, memory_order_relaxed);
  generator->seeded = number << 32 | ++seedings;
  generator->drawn = 0;
}

/* ---- Draws ---- */

static void tell(const void *state, uint64_t place, uint64_t count, uint64_t value, enum drawn_flags flags,
                 const char *function) {
  self_get();
  struct text text = {.size = 0};
  text_add(&text, function);
  struct stack stack;
  stack_take(&stack);
  LOG(RECORD_DRAWN, &text, &stack, (uint64_t)(uintptr_t)state, place, count, value, flags);
}

/* Whether this draw is one of the first since a fork. */
static bool is_early(struct generator *generator) {
  uint32_t generation = forks_generation();
  if (LIKELY(generation == 0)) return false;
  if (generator->generation != generation) {
    generator->generation = generation;
    generator->told = 0;
  }
  return generator->told < TOLD && ++generator->told != 0;
}

/* A draw from a state that only the generator's functions change. */
static void draw(struct generator *generator, const void *state, uint64_t value, const char *function) {
  if (!watches(WATCH_RANDOM)) return;
  uint64_t before = generator->drawn++;
  if (LIKELY(!is_early(generator))) return;
  bool seeded = generator->seeded != 0;
  tell(state, seeded ? generator->seeded : self_loaded, before, value, seeded ? 0 : DRAWN_UNSEEDED, function);
}

/*
 * Whether a state that is drawn from for the first time may have been set by each process after the fork.  It must be a
 * local variable, so it lies on the stack.  If it lies below the frame of the fork, its function was called later.
 * Otherwise only a small value counts, as programs use that need the same numbers.
 */
static bool may_be_own(const void *state, uint64_t value) {
  enum { MOST_OF_STACK = 8 << 20, SMALL = 1 << 24 };
  const char *at = state, *frame = fork_under_way.frame, *here = __builtin_frame_address(0);
  if (at < here || at > here + MOST_OF_STACK) return false;
  return value < SMALL || (frame != NULL && at < frame);
}

/* A draw from a state in the program's memory, which was `before`, and is `after`. */
static void draw_from(const void *state, uint64_t before, uint64_t after, uint64_t value, const char *function) {
  if (!watches(WATCH_RANDOM)) return;
  struct generator *generator = generator_of(state);
  bool goes_on = generator->drawn != 0 && generator->left == before;
  generator->drawn++;
  generator->left = after;
  if (LIKELY(!is_early(generator))) return;
  tell(state, before, 0, value, goes_on || !may_be_own(state, before) ? 0 : DRAWN_OWN, function);
}

/* A draw from a hidden state: two numbers of so many bits are not the same by chance. */
static void draw_hidden(struct generator *generator, const void *bytes, size_t size, const char *function) {
  if (!watches(WATCH_RANDOM) || size < sizeof(uint32_t) || LIKELY(!is_early(generator))) return;
  uint64_t words[2] = {0, 0};
  memcpy(words, bytes, size < sizeof words ? size : sizeof words);
  tell(generator, words[0], words[1], words[0], DRAWN_HIDDEN, function);
}

/* ---- rand(), random() ---- */

EXPORT int rand(void) {
  int value = CALL(rand)();
  draw(generator_of(random_state), random_state, (uint64_t)value, "rand");
  return value;
}

EXPORT long random(void) {
  long value = CALL(random)();
  draw(generator_of(random_state), random_state, (uint64_t)value, "random");
  return value;
}

EXPORT void srand(unsigned number) {
  CALL(srand)(number);
  seed(generator_of(random_state));
}

EXPORT void srandom(unsigned number) {
  CALL(srandom)(number);
  seed(generator_of(random_state));
}

/* A state contains its own position; setstate() gets its address. */
EXPORT char *initstate(unsigned number, char *state, size_t size) {
  char *old = CALL(initstate)(number, state, size);
  if (old == NULL) return NULL;
  random_state = state;
  seed(generator_of(state));
  return old;
}

/* The default state lies in the C library. */
EXPORT char *setstate(char *state) {
  char *old = CALL(setstate)(state);
  if (old != NULL) random_state = generator_of(state)->seeded != 0 ? (const void *)state : &default_state;
  return old;
}

EXPORT int random_r(struct random_data *restrict data, int32_t *restrict result) {
  int error = CALL(random_r)(data, result);
  if (error == 0) draw(generator_of(data), data, (uint64_t)*result, "random_r");
  return error;
}

EXPORT int srandom_r(unsigned number, struct random_data *data) {
  seed(generator_of(data));
  return CALL(srandom_r)(number, data);
}

EXPORT int initstate_r(unsigned number, char *restrict state, size_t size, struct random_data *restrict data) {
  seed(generator_of(data));
  return CALL(initstate_r)(number, state, size, data);
}

EXPORT int rand_r(unsigned *state) {
  unsigned before = *state;
  int value = CALL(rand_r)(state);
  draw_from(state, before, *state, (uint64_t)value, "rand_r");
  return value;
}

/* ---- drand48() and its like ---- */

static uint64_t bits_of(double number) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  return bits;
}

static uint64_t state_of(const unsigned short state[3]) {
  return (uint64_t)state[2] << 32 | (uint64_t)state[1] << 16 | state[0];
}

static void draw_48(uint64_t value, const char *function) {
  draw(&drand48_generator, &drand48_generator, value, function);
}

EXPORT double drand48(void) {
  double value = CALL(drand48)();
  draw_48(bits_of(value), "drand48");
  return value;
}

EXPORT long lrand48(void) {
  long value = CALL(lrand48)();
  draw_48((uint64_t)value, "lrand48");
  return value;
}

EXPORT long mrand48(void) {
  long value = CALL(mrand48)();
  draw_48((uint64_t)value, "mrand48");
  return value;
}

EXPORT void srand48(long number) {
  seed(&drand48_generator);
  CALL(srand48)(number);
}

EXPORT unsigned short *seed48(unsigned short numbers[3]) {
  seed(&drand48_generator);
  // cppcheck-suppress CastIntegerToAddressAtReturn ; it does not know what seed48() returns
  return CALL(seed48)(numbers);
}

EXPORT void lcong48(unsigned short numbers[7]) {
  seed(&drand48_generator);
  CALL(lcong48)(numbers);
}

EXPORT double erand48(unsigned short state[3]) {
  uint64_t before = state_of(state);
  double value = CALL(erand48)(state);
  draw_from(state, before, state_of(state), bits_of(value), "erand48");
  return value;
}

EXPORT long nrand48(unsigned short state[3]) {
  uint64_t before = state_of(state);
  long value = CALL(nrand48)(state);
  draw_from(state, before, state_of(state), (uint64_t)value, "nrand48");
  return value;
}

EXPORT long jrand48(unsigned short state[3]) {
  uint64_t before = state_of(state);
  long value = CALL(jrand48)(state);
  draw_from(state, before, state_of(state), (uint64_t)value, "jrand48");
  return value;
}

EXPORT int drand48_r(struct drand48_data *restrict data, double *restrict result) {
  int error = CALL(drand48_r)(data, result);
  draw(generator_of(data), data, bits_of(*result), "drand48_r");
  return error;
}

EXPORT int lrand48_r(struct drand48_data *restrict data, long *restrict result) {
  int error = CALL(lrand48_r)(data, result);
  draw(generator_of(data), data, (uint64_t)*result, "lrand48_r");
  return error;
}

EXPORT int mrand48_r(struct drand48_data *restrict data, long *restrict result) {
  int error = CALL(mrand48_r)(data, result);
  draw(generator_of(data), data, (uint64_t)*result, "mrand48_r");
  return error;
}

EXPORT int srand48_r(long number, struct drand48_data *data) {
  seed(generator_of(data));
  return CALL(srand48_r)(number, data);
}

EXPORT int seed48_r(unsigned short numbers[3], struct drand48_data *data) {
  seed(generator_of(data));
  return CALL(seed48_r)(numbers, data);
}

EXPORT int erand48_r(unsigned short state[3], struct drand48_data *restrict data, double *restrict result) {
  uint64_t before = state_of(state);
  int error = CALL(erand48_r)(state, data, result);
  draw_from(state, before, state_of(state), bits_of(*result), "erand48_r");
  return error;
}

EXPORT int nrand48_r(unsigned short state[3], struct drand48_data *restrict data, long *restrict result) {
  uint64_t before = state_of(state);
  int error = CALL(nrand48_r)(state, data, result);
  draw_from(state, before, state_of(state), (uint64_t)*result, "nrand48_r");
  return error;
}

EXPORT int jrand48_r(unsigned short state[3], struct drand48_data *restrict data, long *restrict result) {
  uint64_t before = state_of(state);
  int error = CALL(jrand48_r)(state, data, result);
  draw_from(state, before, state_of(state), (uint64_t)*result, "jrand48_r");
  return error;
}

/* ---- Generators that seed themselves: the C library's or libbsd's, OpenSSL's, libuuid's ---- */

static struct generator arc4random_generator, openssl_generator, uuid_generator;

/* Some C libraries have them. */
uint32_t arc4random(void);                      // NOLINT(readability-redundant-declaration)
void arc4random_buf(void *bytes, size_t size);  // NOLINT(readability-redundant-declaration)
int RAND_bytes(unsigned char *bytes, int size);
int RAND_priv_bytes(unsigned char *bytes, int size);
int RAND_bytes_ex(void *context, unsigned char *bytes, size_t size, unsigned strength);
int RAND_priv_bytes_ex(void *context, unsigned char *bytes, size_t size, unsigned strength);
void uuid_generate(unsigned char uuid[16]);
void uuid_generate_random(unsigned char uuid[16]);
void uuid_generate_time(unsigned char uuid[16]);
int uuid_generate_time_safe(unsigned char uuid[16]);

EXPORT uint32_t arc4random(void) {
  LIBRARY_NEXT(arc4random, 0);
  uint32_t value = next();
  draw_hidden(&arc4random_generator, &value, sizeof value, "arc4random");
  return value;
}

EXPORT void arc4random_buf(void *bytes, size_t size) {
  LIBRARY_NEXT(arc4random_buf, );
  next(bytes, size);
  draw_hidden(&arc4random_generator, bytes, size, "arc4random_buf");
}

static int drawn_bytes(int result, const void *bytes, size_t size, const char *function) {
  if (result == 1) draw_hidden(&openssl_generator, bytes, size, function);
  return result;
}

EXPORT int RAND_bytes(unsigned char *bytes, int size) {
  LIBRARY_NEXT(RAND_bytes, 0);
  return drawn_bytes(next(bytes, size), bytes, (size_t)size, "RAND_bytes");
}

EXPORT int RAND_priv_bytes(unsigned char *bytes, int size) {
  LIBRARY_NEXT(RAND_priv_bytes, 0);
  return drawn_bytes(next(bytes, size), bytes, (size_t)size, "RAND_priv_bytes");
}

EXPORT int RAND_bytes_ex(void *context, unsigned char *bytes, size_t size, unsigned strength) {
  LIBRARY_NEXT(RAND_bytes_ex, 0);
  return drawn_bytes(next(context, bytes, size, strength), bytes, size, "RAND_bytes_ex");
}

EXPORT int RAND_priv_bytes_ex(void *context, unsigned char *bytes, size_t size, unsigned strength) {
  LIBRARY_NEXT(RAND_priv_bytes_ex, 0);
  return drawn_bytes(next(context, bytes, size, strength), bytes, size, "RAND_priv_bytes_ex");
}

EXPORT void uuid_generate(unsigned char uuid[16]) {
  LIBRARY_NEXT(uuid_generate, );
  next(uuid);
  draw_hidden(&uuid_generator, uuid, 16, "uuid_generate");
}

EXPORT void uuid_generate_random(unsigned char uuid[16]) {
  LIBRARY_NEXT(uuid_generate_random, );
  next(uuid);
  draw_hidden(&uuid_generator, uuid, 16, "uuid_generate_random");
}

EXPORT void uuid_generate_time(unsigned char uuid[16]) {
  LIBRARY_NEXT(uuid_generate_time, );
  next(uuid);
  draw_hidden(&uuid_generator, uuid, 16, "uuid_generate_time");
}

EXPORT int uuid_generate_time_safe(unsigned char uuid[16]) {
  LIBRARY_NEXT(uuid_generate_time_safe, -1);
  int unsafe = next(uuid);
  draw_hidden(&uuid_generator, uuid, 16, "uuid_generate_time_safe");
  return unsafe;
}

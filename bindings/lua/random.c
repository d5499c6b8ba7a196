/* SPDX-License-Identifier: MIT */
#include "random.h"

#include <stdint.h>
#include <string.h>

#include "compat.h"
#include "number.h"

enum { WORDS = 4 };

static uint64_t rotate(uint64_t word, int by) {
  return word << by | word >> (64 - by);
}

static uint64_t next(uint64_t *state) {
  uint64_t result = rotate(state[1] * 5, 7) * 9, shifted = state[1] << 17;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 45);
  return result;
}

/* From 0 to `most`, uniformly: a number above it is drawn again. */
static uint64_t next_up_to(uint64_t *state, uint64_t most) {
  uint64_t mask = most, drawn;
  for (int by = 1; by < 64; by *= 2) mask |= mask >> by;
  do drawn = next(state) & mask;
  while (drawn > most);
  return drawn;
}

/* seeded(bytes): the state of a generator, of 32 bytes which are not all zero. */
static int seeded(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  uint64_t *state = lua_newuserdata(L, WORDS * sizeof *state);
  for (size_t i = 0; i < WORDS * sizeof *state; i++) {
    if (i % sizeof *state == 0) state[i / sizeof *state] = 0;
    if (i < size) state[i / sizeof *state] |= (uint64_t)(unsigned char)bytes[i] << 8 * (i % sizeof *state);
  }
  return 1;
}

/* draw(state): from 0 to below 1; draw(state, low, high): an integer from low to high. */
static int draw(lua_State *L) {
  uint64_t *state = lua_touserdata(L, 1);
  if (lua_isnoneornil(L, 2)) {
    lua_pushnumber(L, (lua_Number)(next(state) >> 11) * (lua_Number)0x1p-53);
    return 1;
  }
  uint64_t low = number_to_uint64(L, 2, "random"), high = number_to_uint64(L, 3, "random");
  uint64_t drawn = low + next_up_to(state, high - low);
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)drawn);
#else
  lua_pushnumber(L, (lua_Number)(int64_t)drawn);
#endif
  return 1;
}

int random_open(lua_State *L, const char *source, size_t size) {
  if (luaL_loadbuffer(L, source, size, "=atfork.random") != 0) return lua_error(L);
  lua_pushcfunction(L, seeded);
  lua_pushcfunction(L, draw);
  lua_call(L, 2, 1);
  return 1;
}

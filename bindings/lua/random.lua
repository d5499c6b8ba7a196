-- SPDX-License-Identifier: MIT
-- Random numbers for this process: each forked process begins another sequence.
local seeded, draw = ...
local atfork = require "atfork"
local error, pcall, select, type = error, pcall, select, type
local math = math

local SEED_BYTES = 32
local takes_128_bits = math.type ~= nil and _VERSION ~= "Lua 5.3"
local random = {}

-- In Lua 5.1 and 5.2, all integers that a double can hold.
local tointeger = math.tointeger
  or function(value) return value % 1 == 0 and value >= -2 ^ 53 and value <= 2 ^ 53 and value or nil end

local function integer(argument, value)
  local whole = type(value) == "number" and tointeger(value)
  if whole then return whole end
  local what = type(value) == "number" and "number has no integer representation" or "number expected, got " .. type(value)
  error(("bad argument #%d to 'random' (%s)"):format(argument, what), 0)
end

-- The arguments of math.random(): none; or the highest; or the lowest and the highest.  In Lua 5.4, 0 means all
-- integers.
local function bounds(...)
  local count = select("#", ...)
  if count == 0 then return end
  if count > 2 then error("wrong number of arguments to 'random'", 0) end
  local low, high = 1, integer(count, (select(count, ...)))
  if count == 2 then low = integer(1, (...)) end
  if high == 0 and count == 1 and takes_128_bits then return math.mininteger, math.maxinteger end
  if low > high then error(("bad argument #%d to 'random' (interval is empty)"):format(count), 0) end
  return low, high
end

local function number_of(state, ...)
  return draw(state, bounds(...))
end

-- Calls seed() or seed_bytes() for a function of this module.  An error about the base names this function, at the
-- place where a script has called it.
local function seed_of(name, seed, ...)
  local ok, result = pcall(seed, ...)
  if not ok then error((result:gsub("'seed[_a-z]*'", "'" .. name .. "'")), 3) end
  return result
end

-- A function like math.random.  Its sequence in a process follows from the base, and is the same from run to run.
function random.new(base)
  local state, made_in
  return function(...)
    local now = atfork.generation()
    if made_in ~= now then state, made_in = seeded(seed_of("new", atfork.seed_bytes, base, SEED_BYTES)), now end
    local ok, number = pcall(number_of, state, ...)
    if not ok then error(number, 2) end
    return number
  end
end

-- Seeds math.random in this process.  Lua 5.3 converts a seed to a double, and then uses the lower 32 bits.
function random.reseed(base)
  if takes_128_bits then
    math.randomseed(("<i8i8"):unpack(seed_of("reseed", atfork.seed_bytes, base, 16)))
  else
    local seed = seed_of("reseed", atfork.seed, base)
    math.randomseed(math.type and seed % 0x100000000 or seed)
  end
end

local of_this_run = random.new()
return setmetatable(random, { __call = function(_, ...) return of_this_run(...) end })

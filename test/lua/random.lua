-- SPDX-License-Identifier: MIT
-- atfork.random: numbers of each process's own.
local random = require "atfork.random"
local atfork = require "atfork"
local forktest = require "forktest"
local tap = require "tap"
local case, scenario, equal, in_child, says = tap.case, tap.scenario, tap.equal, tap.in_child, tap.says

-- What a generator gives, as text that tells numbers apart.
local function draws(draw, count, ...)
  local drawn = {}
  for i = 1, count or 4 do drawn[i] = ("%.17g"):format(draw(...)) end
  return table.concat(drawn, " ")
end

-- What a child's gives.
local function in_a_child(way, draw, ...)
  local out, into = forktest.pipe()
  local arguments = { ... }
  in_child(way, function() forktest.write(into, draws(draw, 4, (table.unpack or unpack)(arguments))) end)
  local said = forktest.read(out)
  forktest.close(out)
  forktest.close(into)
  return said
end

-- From an independent implementation in Python.
case("random/is xoshiro256**, seeded by seed_bytes", function()
  equal(draws(random.new(42)), "0.46654271557026639 0.8762404788564685 0.29158060280964937 0.25487239056535993")
  equal(draws(random.new(42), 20, 6), "6 5 6 6 6 1 1 6 5 5 3 1 5 5 3 5 3 6 5 4")
  equal(draws(random.new(42), 20, 6), draws(random.new(42), 20, 1, 6))
end)

scenario "random-own"
case("random/each process begins a sequence of its own", function()
  local fixed = random.new(42)
  local mine = draws(fixed)
  for _, way in ipairs { "fork", "_Fork", "syscall", "clone" } do
    local first, second = in_a_child(way, fixed), in_a_child(way, fixed)
    assert(first ~= mine and second ~= mine and first ~= second, way)
    assert(in_a_child(way, random) ~= in_a_child(way, random), way .. ", of the run")
  end
  equal(draws(fixed), draws((function()
    local again = random.new(42)
    draws(again)
    return again
  end)()), "the parent's goes on")
end)

scenario "random-repeated"
case("random/differs from run to run, but not where that is repeated", function()
  local script = [[print(require "atfork.random"(2 ^ 52))]]
  assert(says("", script) ~= says("", script), "two runs")
  equal(says("ATFORK_RUN=7", script), says("ATFORK_RUN=7", script), "the same run")
  local fixed = [[print(require "atfork.random".new(1)(2 ^ 52))]]
  equal(says("", fixed), says("", fixed), "a fixed base")
end)

case("random/ranges", function()
  local seen = {}
  for _ = 1, 2000 do
    local drawn = random(-3, 3)
    assert(drawn >= -3 and drawn <= 3 and drawn % 1 == 0, drawn)
    if math.type then equal(math.type(drawn), "integer") end
    seen[drawn] = true
  end
  for i = -3, 3 do assert(seen[i], i) end
  for _ = 1, 1000 do
    local drawn = random()
    assert(drawn >= 0 and drawn < 1, drawn)
  end
  equal(random(1), 1)
  equal(random(7, 7), 7)
  equal(random(3.0) >= 1, true)
  if math.mininteger and _VERSION ~= "Lua 5.3" then
    equal(math.type(random(0)), "integer")
    assert(random(0) ~= random(0), "all bits")
  end
  if math.mininteger then equal(math.type(random(math.mininteger, math.maxinteger)), "integer") end
end)

case("random/bad arguments", function()
  local function fails(part, ...)
    local ok, message = pcall(random.new(1), ...)
    equal(ok, false, part)
    assert(message:find(part, 1, true), message)
  end
  fails("#1 to 'random' (interval is empty)", -1)
  fails("#2 to 'random' (interval is empty)", 2, 1)
  fails("#1 to 'random' (number expected, got string)", "x")
  fails("#2 to 'random' (number has no integer representation)", 1, 1.5)
  fails("#1 to 'random' (number has no integer representation)", 0 / 0)
  fails("#1 to 'random' (number expected, got nil)", nil, 3)
  fails("wrong number of arguments", 1, 2, 3)
  fails("#1 to 'random' (number has no integer representation)", 2 ^ 63)
  fails("#2 to 'random' (number has no integer representation)", 1, 2 ^ 63)
  for name, call in pairs { new = random.new {}, reseed = function() random.reseed {} end } do
    local ok, message = pcall(function()
      local drawn = call()
      return drawn
    end)
    equal(ok, false, name)
    assert(message:find("random.lua:%d+: bad argument #1 to '" .. name .. "' %(number expected, got table"), message)
    assert(not message:find("atfork", 1, true), message)
  end
end)

scenario "random-reseed"
case("random/reseed is for math.random", function()
  local hook = atfork.register_after_fork(random.reseed)
  assert(in_a_child("fork", math.random) ~= in_a_child("fork", math.random), "two children")
  hook:unregister()
  random.reseed(42)
  local first = draws(math.random)
  random.reseed(42)
  equal(draws(math.random), first, "the same base")
  random.reseed(43)
  assert(draws(math.random) ~= first, "another base")
end)

-- What the annotations for editors declare is what there is.
case("random/annotations", function()
  local declared = dofile((os.getenv("ANNOTATIONS"):gsub("atfork.d.lua$", "atfork.random.d.lua")))
  for name in pairs(random) do assert(declared[name], name .. " is not declared") end
  for name in pairs(declared) do assert(random[name], name .. " is declared") end
end)

case("random/reseed uses all the bits that math.randomseed takes", function()
  local seen, distinct = {}, 0
  for base = 1, 20000 do
    random.reseed(base)
    local drawn = draws(math.random, 2)
    if not seen[drawn] then distinct = distinct + 1 end
    seen[drawn] = true
  end
  equal(distinct, 20000)
end)

case("random/is loaded before atfork, too", function()
  equal(says("", [[print(type(require "atfork.random"), require "atfork".lineage())]]), "table\t0")
  equal(says("", [[require "atfork" print(type(require "atfork.random"()))]]), "number")
end)

tap.run()

-- SPDX-License-Identifier: MIT
-- Fault injection: each function is called once for each request for memory that it makes, by Lua or by the module, in a
-- process in which that request is refused; and again with all later ones refused, too.
local MODULE = assert(os.getenv "TORTURE_MODULE")
local fault = assert(package.loadlib(MODULE, "luaopen_fault"))()
package.preload.atfork = assert(package.loadlib(MODULE, "luaopen_atfork"))

if jit then jit.off() end -- its traces would be counted

local forktest = require "forktest"
local tap = require "tap"
local case, equal = tap.case, tap.equal

local AND_ALL_LATER = 2 ^ 31 - 1
local PASSED, PASSED_ALL = 42, 43

-- ATFORK_TEST_TORTURE=K: 2, …, K requests in a row, too, and no request is left out.
local thorough = tonumber(os.getenv "ATFORK_TEST_TORTURE")

-- Hooks that are to run in each fork, whatever else happens.
local atfork
local runs = { prepare = 0, parent = 0, child = 0 }
local base, hooks = 0, 0

local function count(phase)
  return function() runs[phase] = runs[phase] + 1 end
end

local function add_base()
  atfork = require "atfork"
  for priority = -1, 1 do
    atfork.register {
      priority = priority,
      name = "base " .. priority,
      prepare = count "prepare",
      parent = count "parent",
      child = count "child",
    }
  end
  base, hooks = 3, 3
end

local function in_child()
  equal(runs.prepare, base, "prepared")
  equal(runs.child, base, "run in the child")
  equal(#atfork.hooks(), hooks, "hooks in the child")
end

-- Nothing is lost, and nothing is there twice.
local function expect_unharmed()
  equal(#atfork.hooks(), hooks, "hooks")
  for phase in pairs(runs) do
    runs[phase] = 0
  end
  tap.in_child("fork", in_child)
  equal(runs.prepare, base, "prepared")
  equal(runs.parent, base, "run in the parent")
  equal(runs.child, 0, "run in no child")
end

-- Whether it succeeded; with what came of it.
local function call_with_faults(call, first, many)
  fault.arm(first, many)
  local done, result = pcall(call)
  local requests = fault.disarm()
  if not done then
    assert(type(result) == "string" and result:find "memory", "not an error of memory: " .. tostring(result))
  end
  return done, result, requests
end

-- As often as one likes, and what the module holds does not grow, nor what Lua does, but for its stack: that shrinks and
-- grows by up to 0.7 KiB.
local function expect_no_leak(call, undo, first, many)
  local held
  for round = 1, 3 do
    for _ = 1, 60 do
      local done, result = call_with_faults(call, first, many)
      if done then undo(result) end
    end
    collectgarbage()
    collectgarbage()
    local blocks, size = fault.blocks(), collectgarbage "count"
    if round == 3 then
      equal(blocks, held.blocks, "blocks of the module")
      assert(size < held.size + 1, ("Lua holds %.1f KiB, and held %.1f"):format(size, held.size))
    end
    held = { blocks = blocks, size = size }
  end
end

-- It may be tried as long as it fails, and uses nothing up.
local function fail_often(scenario, first, many)
  for _ = 1, 100 do
    local done, result = call_with_faults(scenario.call, first, many)
    if done then return scenario.undo(result) end
  end
end

local function take_turn(scenario, first, many)
  scenario.arrange()
  local blocks = fault.blocks()
  local done, result, requests = call_with_faults(scenario.call, first, many)
  if not atfork then
    package.loaded.atfork = nil -- Lua 5.1 has a mark there, of a module that is being loaded
    atfork = require "atfork"
  end
  if not done then
    expect_unharmed()
    if scenario.undo then fail_often(scenario, first, many) end
    result = scenario.call()
    if scenario.fits then equal(fault.blocks(), blocks, "blocks of the module") end
  end
  hooks = hooks + (scenario.adds or 0)
  expect_unharmed()
  assert(result ~= false, "what it returned is wrong")
  if scenario.check then scenario.check(result) end
  if scenario.undo then
    scenario.undo(result)
    hooks = hooks - (scenario.adds or 0)
    expect_no_leak(scenario.call, scenario.undo, first, many)
    expect_unharmed()
  end
  return requests >= first and PASSED or PASSED_ALL
end

local function in_turn(scenario, many)
  local first, status = 0, nil
  repeat
    first = first + (thorough and 1 or scenario.step or 1)
    local pid = forktest.fork()
    if pid == 0 then
      local ok, result = xpcall(function() return take_turn(scenario, first, many) end, debug.traceback)
      if not ok then io.stderr:write(("request %d, and %d: %s\n"):format(first, many - 1, result)) end
      io.stderr:flush()
      forktest.exit(ok and result or 1)
    end
    status = forktest.wait(pid)
  until status ~= PASSED
  equal(status, PASSED_ALL, ("exit status where request %d is refused"):format(first))
  assert(first > (scenario.least or 1), "it makes too few requests")
end

local function torture(name, scenario)
  scenario.arrange = scenario.arrange or add_base
  case(name, function()
    in_turn(scenario, AND_ALL_LATER)
    for many = 1, thorough or 1 do
      in_turn(scenario, many)
    end
  end)
end

local function nothing() end
local function unregister(hook) hook:unregister() end

torture("require", { arrange = nothing, call = function() return require "atfork" end, least = 50, step = 11 })
torture("register_after_fork", {
  call = function() return atfork.register_after_fork(nothing) end,
  undo = unregister,
  adds = 1,
})
torture("register", {
  call = function() return atfork.register { name = "n", prepare = nothing, parent = nothing, child = nothing } end,
  undo = unregister,
  adds = 1,
})
torture("register at another priority", {
  call = function() return atfork.register { priority = 32767, child = nothing } end,
  undo = unregister,
  adds = 1,
})
torture("register with a new key", {
  call = function() return atfork.register { key = {}, child = nothing } end,
  undo = unregister,
  adds = 1,
})

local replaced = 0
torture("register with a known key", {
  arrange = function()
    add_base()
    atfork.register { key = "k", child = function() replaced = replaced + 1 end }
    hooks = hooks + 1
  end,
  call = function() return atfork.register { key = "k", child = function() replaced = replaced + 1 end } end,
  check = function(hook)
    tap.in_child("fork", function() equal(replaced, 1, "runs of the one with the key") end)
    equal(hook:unregister(), true)
    equal(#atfork.hooks(), hooks - 1)
  end,
})
torture("register a C function", {
  call = function() return atfork.register { parent = nothing, child = atfork.symbol(nil, "free") } end,
  undo = unregister,
  adds = 1,
})
local many = {}
for i = 1, 50 do
  many[i] = false
end
torture("as many as there is room for", {
  fits = true,
  call = function()
    for i = 1, 50 do
      local done, hook = pcall(atfork.register_after_fork, nothing)
      if not done then
        fault.disarm()
        for j = 1, i - 1 do
          many[j]:unregister()
        end
        error(hook, 0)
      end
      many[i] = hook
    end
  end,
  undo = function()
    for _, hook in ipairs(many) do
      hook:unregister()
    end
  end,
  adds = 50,
})

-- Whether the call was refused, for another reason than memory.
local function refused(call, ...)
  local done, message = pcall(call, ...)
  if not done and message:find "memory" then error(message, 0) end
  return not done
end

-- Calls that register nothing.
local values = {
  generation = function() return atfork.generation() end,
  lineage = function() return atfork.lineage() end,
  place = function() return atfork.place() end,
  run = function() return atfork.run() end,
  seed = function() return atfork.seed() + atfork.seed(7) end,
  seed_bytes = function() return atfork.seed_bytes(7, 64) end,
  token = function() return atfork.token() end,
  child_token = function() return atfork.child_token(atfork.token(), 7) end,
  poll = function() return atfork.poll() end,
  hooks = function() return #atfork.hooks() == hooks and atfork.hooks()[hooks].name == "base 1" end,
  symbol = function() return atfork.symbol(nil, "free", 0) end,
  on_error = function() atfork.on_error = nothing end,
  version = function() return atfork.version() end,
  -- A forked process has a place.
  spawned = function() return refused(atfork.spawned, "no token") end,
  adopt = function() return refused(atfork.adopt, 3) end,
}
for name, call in pairs(values) do
  torture(name, { call = call, undo = nothing, least = 0 })
end

local registered
torture("unregister", {
  arrange = function()
    add_base()
    registered = atfork.register { prepare = nothing, child = nothing }
    hooks = hooks + 1
  end,
  call = function() return registered:unregister() end,
  adds = -1,
  least = 0,
})

local shown
local function show() return tostring(shown) .. shown.id .. shown.priority .. shown.name .. shown.key end
torture("a hook's fields", {
  arrange = function()
    add_base()
    shown = atfork.register { name = "n", key = "k", child = nothing }
    hooks = hooks + 1
  end,
  call = show,
  undo = nothing,
})

-- A value of its own in each process, made once more where there was no memory to keep it.
local makes = 0
torture("per_process", {
  arrange = function()
    add_base()
    atfork.per_process(nothing) -- the first has a hook that serves all
    hooks = hooks + 1
  end,
  call = function()
    local value = atfork.per_process(function()
      makes = makes + 1
      return makes
    end)
    return value() == makes and value() == makes and value
  end,
  check = function(value)
    local before = makes
    tap.in_child("fork", function() equal(value(), before + 1, "the child's value") end)
    equal(value(), before, "the parent's value")
  end,
})

local random
torture("random", {
  arrange = function()
    add_base()
    random = package.loadlib(MODULE, "luaopen_atfork_random")()
  end,
  call = function()
    local value = random.new(7)(100)
    random.reseed(7)
    return value >= 1 and value <= 100
  end,
  undo = not jit and nothing or nil, -- LuaJIT miscounts a function for whose upvalue there was no memory
})

-- Callbacks run that ask for no memory.  Lua 5.2 needs some for each call of a coroutine whenever it has collected.
torture("fork", {
  call = function()
    local pid = forktest.fork()
    if pid == 0 then
      fault.disarm()
      local ok, message = pcall(in_child)
      if not ok and _VERSION ~= "Lua 5.2" then io.stderr:write(message, "\n") end
      forktest.exit((ok or _VERSION == "Lua 5.2") and PASSED or 1)
    end
    return forktest.wait(pid) == PASSED
  end,
  least = 0,
})

-- One that asks for some is told that there is none; the others run.
local failures = 0
torture("fork with a callback that needs memory", {
  arrange = function()
    add_base()
    atfork.on_error = function() failures = failures + 1 end
    atfork.register { child = function() return { atfork.prepared() } end }
    hooks = hooks + 1
  end,
  call = function()
    local pid = forktest.fork()
    if pid == 0 then
      fault.disarm()
      local ok, message = pcall(in_child)
      if not ok then io.stderr:write(message, "\n") end
      forktest.exit(ok and failures <= 1 and PASSED or 1)
    end
    return forktest.wait(pid) == PASSED
  end,
  least = 0,
})

-- A function that no scenario calls would be left out.
case("each function has a scenario", function()
  local file = assert(io.open(arg[0]))
  local text = file:read "*a"
  file:close()
  for name, value in pairs(require "atfork") do
    assert(type(value) ~= "function" or text:find("atfork%." .. name .. "%f[^%w_]"), name)
  end
end)

tap.run()

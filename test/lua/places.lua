-- SPDX-License-Identifier: MIT
-- Places in the tree that a launcher, a token or a guess gives; runs; and seeds of any length.
local atfork = require "atfork"
local forktest = require "forktest"
local tap = require "tap"
local case, scenario, equal, in_child, says = tap.case, tap.scenario, tap.equal, tap.in_child, tap.says

local function hexadecimal(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function fails(part, call, ...)
  local ok, message = pcall(function(...)
    local result = call(...) -- no tail call, so that the error is here
    return result
  end, ...)
  equal(ok, false, part)
  assert(message:find(part, 1, true), message)
  assert(message:find("places.lua", 1, true), message)
end

-- ---- Seeds ----

-- From an independent implementation in Python, of hashlib.
scenario "seed-bytes-vector"
case("seed_bytes/published vectors", function()
  equal(hexadecimal(atfork.seed_bytes(42, 32)), "1ae109f3259e4c9d3ea74a9e64212d238f85245bc7289f05c56ebc865f02786b")
  equal(atfork.seed_bytes(42, 0), "", "of no length")
  equal(#atfork.seed_bytes(42, 8192), 8192, "of the greatest length")
  local said = says("", [[
    local atfork, forktest = require "atfork", require "forktest"
    atfork.adopt(3)
    local pid = forktest.fork "fork"
    if pid == 0 then forktest.exit(42) end
    forktest.wait(pid)
    pid = forktest.fork "fork"
    if pid ~= 0 then forktest.exit(forktest.wait(pid)) end
    io.write(atfork.lineage(), " ", (atfork.seed_bytes(-1, 40):gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end)))
    io.stdout:flush()
    forktest.exit(42)
  ]])
  equal(said, "0.r3.2 956ffd0f75528b130461a6512bc4a501b7eaf1cc5af1c94a174e6f9612a697c3ca90e7bb39068c31")
end)

case("seed_bytes/its first bytes are those of fewer", function()
  equal(atfork.seed_bytes(7, 100):sub(1, 33), atfork.seed_bytes(7, 33))
end)

scenario "seed-of-run"
case("seed_bytes/without a base: of this run", function()
  equal(atfork.seed_bytes(nil, 16), atfork.seed_bytes(atfork.run(), 16))
  equal(atfork.seed(), atfork.seed(atfork.run()))
  assert(atfork.seed_bytes(nil, 16) ~= atfork.seed_bytes(0, 16))
  local mine = atfork.seed_bytes(nil, 16)
  in_child("fork", function() assert(atfork.seed_bytes(nil, 16) ~= mine, "a child's is another") end)
end)

case("seed_bytes/bad arguments", function()
  fails("#1 to 'seed_bytes' (number expected, got string)", atfork.seed_bytes, "x", 8)
  fails("#1 to 'seed_bytes' (number has no integer", atfork.seed_bytes, 1.5, 8)
  fails("#1 to 'seed_bytes' (the module itself", atfork.seed_bytes, atfork, 1, 8)
  fails("#2 to 'seed_bytes' (number expected, got nil)", atfork.seed_bytes, 1)
  for _, size in ipairs { -1, 8193, 1.5, 0 / 0, 1 / 0 } do
    fails("#2 to 'seed_bytes' (an integer from 0 to 8192 expected)", atfork.seed_bytes, 1, size)
  end
end)

-- ---- Runs ----

local PRINT_RUN = [[local atfork = require "atfork" print(("%s"):format(atfork.run()))]]

scenario "run-in-all"
case("run/is the same in all processes of a tree, and another each time", function()
  local run = atfork.run()
  in_child("fork", function()
    equal(atfork.run(), run)
    in_child("fork", function() equal(atfork.run(), run) end)
  end)
  local function worker(token)
    return says("ATFORK_TOKEN='" .. token .. "'", [[require "atfork".spawned()]] .. PRINT_RUN)
  end
  equal(worker(atfork.token()), tostring(run), "a spawned worker's")
  assert(says("", PRINT_RUN) ~= says("", PRINT_RUN), "two runs")
end)

scenario "run-repeated"
case("run/is repeated by ATFORK_RUN", function()
  equal(says("ATFORK_RUN=1234567", PRINT_RUN), "1234567")
  equal(says("ATFORK_RUN=0x10", PRINT_RUN), "16")
  -- All 64 bits, which 5.1 has no integers for.
  local highest = says("ATFORK_RUN=18446744073709551615", PRINT_RUN)
  equal(highest, math.type and "-1" or "18446744073709551615")
  local both = says("ATFORK_RUN=18446744073709551615", [[
    local atfork = require "atfork"
    print(atfork.seed(-1) == atfork.seed(), atfork.seed(atfork.run()) == atfork.seed())
  ]])
  equal(both, "true\ttrue")
end)

-- ---- Places ----

scenario "place-words"
case("place/in words", function()
  equal(atfork.place(), "root")
  in_child("fork", function() equal(atfork.place(), "forked") end)
  equal(says("", [[local atfork = require "atfork" atfork.spawned(atfork.token()) print(atfork.place())]]), "spawned")
  equal(says("", [[local atfork = require "atfork" atfork.adopt "0" print(atfork.place())]]), "adopted")
end)

-- Forks, then loads the module: as a server's worker that loads what its master does not.
local GUESS = [[
  local forktest = require "forktest"
  local pid = forktest.fork "fork"
  if pid > 0 then forktest.exit(forktest.wait(pid)) end
  local atfork = require "atfork"
  io.stderr:write(atfork.place(), " ")
]]

scenario "place-guess"
case("place/a guess is told once", function()
  local said = says("", GUESS .. [[
    atfork.seed(1) atfork.seed(2) atfork.seed_bytes(1, 8)
    local pid = forktest.fork "fork"
    if pid == 0 then
      io.stderr:write(atfork.place(), " ")
      atfork.seed_bytes(1, 8) atfork.seed(1)
      forktest.exit(42)
    end
    forktest.wait(pid)
    atfork.adopt(7)
    atfork.seed(1)
    io.stderr:write(atfork.lineage(), " ", atfork.place())
  ]])
  local _, warnings = said:gsub("atfork: this process does not know its place", "")
  equal(warnings, 2, "warnings in two processes: " .. said)
  assert(said:find "^unknown " and said:find "unknown .*unknown ", said)
  assert(said:find("call atfork.adopt() with this worker's number", 1, true), said)
  assert(said:find "0%.r7 adopted$", said)
end)

case("place/no guess where it is known", function()
  equal(says("", [[
    local atfork = require "atfork"
    atfork.seed(1) atfork.seed_bytes(1, 8)
    print(atfork.place())
  ]]), "root")
end)

-- ---- Launchers ----

scenario ("adopt-place", "adopt-launcher")
case("adopt/the number that a launcher gave", function()
  local script = [[
    local atfork = require "atfork"
    local ran = 0
    local value = atfork.per_process(function() return {} end)
    local before = value()
    atfork.register_after_fork(function() ran = ran + 1 end)
    atfork.adopt(RANK)
    print(atfork.lineage(), atfork.generation(), ran, before ~= value(), atfork.seed(1))
  ]]
  local function adopted(rank, environment)
    return says(environment or "", (script:gsub("RANK", rank)))
  end
  local third = adopted "3"
  assert(third:find "^0%.r3\t1\t1\ttrue\t", third)
  equal(adopted '"3"', third, "as text")
  equal(adopted("", "PMIX_RANK=3 PMIX_NAMESPACE=job"), third, "from the environment")
  equal(adopted("nil", "RANK=3 WORLD_SIZE=4"), third, "nil")
  assert(adopted "18014398509481984" ~= third)
end)

case("adopt/what is made in a callback there is the parent's in a child of that", function()
  local said = says("", [[
    local atfork, forktest = require "atfork", require "forktest"
    local function finalise() io.stderr:write("finalised in ", atfork.lineage(), " ") end
    local value = atfork.per_process(function()
      if not newproxy then return setmetatable({}, { __gc = finalise }) end
      local made = newproxy(true)
      getmetatable(made).__gc = finalise
      return made
    end)
    value()
    atfork.register_after_fork(function()
      if atfork.lineage() ~= "0.r3" then return end
      value()
      local pid = forktest.fork "fork"
      if pid > 0 then return forktest.wait(pid) end
      value = nil
      collectgarbage()
      collectgarbage()
      forktest.exit(42)
    end)
    atfork.adopt(3)
  ]])
  assert(not said:find("0.r3.1", 1, true), said)
  assert(said:find("finalised in 0.r3", 1, true), said)
end)

scenario "adopt-refused"
case("adopt/errors", function()
  local said = says("SLURM_PROCID=0 SLURM_STEP_ID=0 SLURM_JOB_ID=1 RANK=3 WORLD_SIZE=4", [[
    local atfork = require "atfork"
    for _, rank in ipairs { "x", "-1", "03", "", "3\0", -1, 1.5, {}, atfork } do
      print((select(2, pcall(atfork.adopt, rank))))
    end
    print((select(2, pcall(atfork.adopt))))
    print(atfork.generation())
    atfork.adopt(1)
    print((select(2, pcall(atfork.adopt, 2))))
  ]])
  local lines = {}
  for line in said:gmatch "[^\n]+" do lines[#lines + 1] = line end
  for i, part in ipairs {
    "#1 to 'adopt' (rank must be a decimal number below 2^64 without leading zeros, not 'x')",
    "(rank must be a decimal number below 2^64 without leading zeros, not '-1')",
    "(rank must be a decimal number below 2^64 without leading zeros, not '03')",
    "(rank must be a decimal number below 2^64 without leading zeros, not '')",
    "#1 to 'adopt' (contains a zero byte)",
    "#1 to 'adopt' (an integer from 0 to 9007199254740992 expected)",
    "#1 to 'adopt' (an integer from 0 to 9007199254740992 expected)",
    "#1 to 'adopt' (number expected, got table)",
    "call atfork.adopt with a dot",
    "launchers give different ranks, or no number: SLURM_PROCID=0 RANK=3",
    "0",
    "adopt(): this process was forked by a process that had atfork, or has taken a place before",
  } do
    assert(lines[i] and lines[i]:find(part, 1, true), part .. " is not in " .. said)
  end
  local none = says("", [[print((select(2, pcall(require "atfork".adopt))))]])
  assert(none:find("no launcher has numbered this process: give its rank", 1, true), none)
end)

-- ---- Tokens of children ----

scenario "child-token"
case("child_token/names workers of workers", function()
  local token = atfork.token()
  local script = [[require "atfork".spawned() print(require "atfork".lineage())]]
  local worker = says("ATFORK_TOKEN='" .. token .. "'", script)
  local second = says("ATFORK_TOKEN='" .. atfork.child_token(token, 2) .. "'", script)
  local deeper = says("ATFORK_TOKEN='" .. atfork.child_token(atfork.child_token(token, 2), 10) .. "'", script)
  equal(second, worker .. ".2")
  equal(deeper, worker .. ".2.10")
end)

case("child_token/bad arguments", function()
  local token = atfork.token()
  fails("#1 to 'child_token' (the token was not made by atfork: 'x')", atfork.child_token, "x", 1)
  fails("#1 to 'child_token' (string expected, got nil)", atfork.child_token)
  fails("#1 to 'child_token' (contains a zero byte)", atfork.child_token, token .. "\0", 1)
  fails("#1 to 'spawned' (contains a zero byte)", atfork.spawned, token .. "\0")
  fails("#1 to 'child_token' (the module itself", atfork.child_token, atfork, token, 1)
  for _, number in ipairs { 0, -1, 1.5, 0 / 0 } do
    fails("#2 to 'child_token' (an integer from 1 to", atfork.child_token, token, number)
  end
  fails("#2 to 'child_token' (number expected, got nil)", atfork.child_token, token)
end)

tap.run()

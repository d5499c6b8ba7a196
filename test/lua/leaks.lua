-- SPDX-License-Identifier: MIT
-- A little of everything, to be run under valgrind; then the state closes.
local atfork = require "atfork"
local forktest = require "forktest"

local LIBRARY = assert(os.getenv "SCENARIO_LIBRARY")
local ran = 0
local function count() ran = ran + 1 end

for i = 1, 300 do
  local hook = atfork.register { name = "n" .. i, priority = i % 7, prepare = count, parent = count, child = count }
  if i % 3 ~= 0 then hook:unregister() end
end
atfork.register_after_fork(atfork.symbol(LIBRARY, "scenario_count"))
atfork.register { parent = count, child = atfork.symbol(LIBRARY, "scenario_count") }
atfork.on_error = function() end
atfork.register_after_fork(function() error "an error" end)
pcall(atfork.register, { child = 3 })
pcall(atfork.register, { child = count, name = {} })
pcall(atfork.symbol, LIBRARY, "no_such_symbol")

local function forked(pid)
  if pid == 0 then
    atfork.poll()
    os.exit(#atfork.hooks() > 0 and 42 or 1, true)
  end
  assert(forktest.wait(pid) == 42)
end

for _, way in ipairs { "fork", "_Fork" } do forked(forktest.fork(way)) end
forktest.fork_between "fork"
local _ = 1
forked(forktest.forked())
assert(forktest.fork_in_thread "fork" == 42)
coroutine.wrap(function() forked(forktest.fork "fork") end)()
assert(atfork.per_process(function() return 3 end)() == 3)
assert(ran > 0)

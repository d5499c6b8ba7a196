-- SPDX-License-Identifier: MIT
-- A worker (worker.h): worker.lua KIND HOOKS FORKS, KIND being atfork or pcall.  Answers with ns: for a
-- child hook, to register one, and for a child hook that is a C function.
local luabench = require "luabench"

local kind, hooks, forks = arg[1], tonumber(arg[2]), tonumber(arg[3])

-- What else the machine does can only add to what a fork takes.
local function least(measure)
  local least = measure()
  for _ = 2, forks do least = math.min(least, measure()) end
  return least
end

-- A function for each, as programs have.
local functions = {}
for i = 1, hooks do
  functions[i] = function() return i end
end

local answer = {}

function answer.atfork()
  local atfork = require "atfork"
  local c_function = atfork.symbol(os.getenv "BENCH_LIBRARY", "bench_nothing")

  -- What registering `hooks` of them, and running them in a child, takes for each.
  local function dispatch(callback)
    local registered = {}
    local start = luabench.now()
    for i = 1, hooks do registered[i] = atfork.register_after_fork(callback(i)) end
    local register = luabench.now() - start
    local full = least(luabench.fork_ns)
    for i = 1, hooks do registered[i]:unregister() end
    local empty = least(luabench.fork_ns)
    return (full - empty) / hooks, register / hooks
  end

  local child, register = dispatch(function(i) return functions[i] end)
  local c_child = dispatch(function() return c_function end)
  return child, register, c_child
end

-- The same functions called by lua_pcall() in a child; and hooks registered in C.
function answer.pcall()
  local child = least(function() return luabench.pcall_ns(functions, hooks) end)
  return child / hooks, luabench.register_ns(hooks) / hooks, 0 / 0
end

for line in io.lines() do
  if line ~= "go" then break end
  io.write(("%.17g %.17g %.17g\n"):format(answer[kind]()))
  io.flush()
end

-- SPDX-License-Identifier: MIT
-- Workers that draw random numbers.
--
--   lua5.3 workers.lua plain             without libatfork: all workers draw the same numbers
--   lua5.3 workers.lua atfork COUNTER    with libatfork; COUNTER is a library with a C-side hook
local posix = require "posix"

local mode, counter = ...
local hooks_run = 0
local atfork

local function show_process(name)
  print(("row\tLua\t%s\t%d\t%s\t%016x\t%d"):format(
    name, atfork.generation(), atfork.lineage(), atfork.seed(42), hooks_run))
end

math.randomseed(os.time())

if mode == "atfork" then
  atfork = require "atfork"
  atfork.register_after_fork(function() math.randomseed(atfork.seed(42)) end)
  atfork.register_after_fork(function() hooks_run = hooks_run + 1 end)
  atfork.register { name = "counter", child = atfork.symbol(counter, "counter_after_fork") }
  show_process "parent"
end

for number = 1, 3 do
  io.stdout:flush()
  local pid = assert(posix.fork())
  if pid == 0 then
    local name = "worker " .. number
    print(("  %s draws %5d %5d %5d"):format(name, math.random(65535), math.random(65535), math.random(65535)))
    if atfork then show_process(name) end
    io.stdout:flush()
    posix._exit(0)
  end
  posix.wait(pid)
end

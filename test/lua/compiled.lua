-- SPDX-License-Identifier: MIT
-- Forks out of code that LuaJIT has compiled.
local atfork = require "atfork"
local ffi = require "ffi"
local forktest = require "forktest"
local tap = require "tap"
local case, scenario, equal, in_child = tap.case, tap.scenario, tap.equal, tap.in_child

local LIBRARY = assert(os.getenv "SCENARIO_LIBRARY")
ffi.cdef [[
  int fork(void);
  void _exit(int);
  int scenario_wait(int);
]]
local C = ffi.load(LIBRARY)

local ran = { parent = 0, prepare = 0 }
local child_ran = 0 -- an upvalue of the loop below, which is then compiled as most are

-- Much garbage, so that the collector runs where it can.
local function work()
  local made = {}
  for i = 1, 100 do made[i] = { i } end
end

-- How many children out of a hot loop found that the child hook had run.
local function storm(times)
  local good = 0
  for _ = 1, times do
    local pid = ffi.C.fork()
    if pid == 0 then ffi.C._exit(child_ran == 1 and 42 or 1) end
    if C.scenario_wait(pid) == 42 then good = good + 1 end
  end
  return good
end

-- With a hook for children only, as what is run in a parent while LuaJIT records the loop keeps it from being compiled.
local function with_hook(body)
  local hook = atfork.register_after_fork(function()
    child_ran = child_ran + 1
    work()
  end)
  local ok, message = xpcall(body, debug.traceback)
  hook:unregister()
  equal(child_ran, 0, "in the parent")
  if not ok then error(message, 0) end
end

local function with_all_hooks(body)
  ran = { parent = 0, prepare = 0 }
  local hooks = {
    atfork.register { parent = function() ran.parent = ran.parent + 1 end },
    atfork.register { prepare = function() ran.prepare = ran.prepare + 1 end, parent = work },
  }
  local ok, message = pcall(with_hook, body)
  for _, hook in ipairs(hooks) do hook:unregister() end
  if not ok then error(message, 0) end
end

case("10,000 forks in a hot loop", function()
  with_hook(function() equal(storm(10000), 10000, "children") end)
end)

-- As luaposix's fork() is: compiled code leaves for it, so a hook's prepare runs.
case("a C function that forks in a hot loop: at once", function()
  ran = { parent = 0, prepare = 0 }
  local hook = atfork.register {
    prepare = function() ran.prepare = ran.prepare + 1 end,
    parent = function() ran.parent = ran.parent + 1 end,
  }
  local good = 0
  for _ = 1, 300 do
    local pid = forktest.fork "fork"
    if pid == 0 then forktest.exit(ran.prepare == good + 1 and 42 or 1) end
    if forktest.wait(pid) == 42 then good = good + 1 end
  end
  hook:unregister()
  equal(good, 300, "children")
  equal(ran.prepare, 300, "prepares")
  equal(ran.parent, 300, "parents")
end)

case("parents after a compiled loop is entered", function()
  with_hook(function() equal(storm(200), 200, "children") end)
  with_all_hooks(function()
    equal(storm(500), 500, "children")
    equal(ran.parent, 500, "parents")
    equal(ran.prepare, 0, "prepares")
  end)
end)

case("after C functions have left their frames behind", function()
  with_hook(function()
    local function deep(...) return ... end
    equal(storm(200), 200, "children")
    for _ = 1, 20 do
      deep(1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, select("#", 1, 2, 3, 4, 5, 6, 7, 8, os.clock()))
      equal(storm(20), 20, "children")
    end
  end)
end)

case("in a coroutine", function()
  with_hook(function()
    coroutine.wrap(function() equal(storm(500), 500, "children") end)()
  end)
end)

case("in a callback", function()
  local good
  local outer = atfork.register {
    priority = -1,
    prepare = function()
      if good ~= nil then return end
      good = false
      good = storm(300)
    end,
  }
  with_hook(function()
    in_child("fork", function() equal(good, 300, "children in the child") end)
    equal(good, 300, "children")
  end)
  outer:unregister()
end)

case("with the user's debug hook", function()
  with_hook(function()
    local lines = 0
    local function user() lines = lines + 1 end
    equal(storm(200), 200, "children")
    jit.flush() -- compiled code asks for no debug hook
    debug.sethook(user, "l")
    equal(storm(50), 50, "children, hooked")
    equal(debug.gethook(), user, "the hook")
    debug.sethook()
    assert(lines > 100, lines)
  end)
end)

case("while another thread forks", function()
  with_all_hooks(function()
    for _ = 1, 20 do
      equal(storm(20), 20, "children")
      equal(forktest.fork_in_thread "fork", 42)
    end
  end)
end)

case("not compiled: at once", function()
  jit.off()
  jit.flush()
  with_all_hooks(function()
    equal(storm(50), 50, "children")
    equal(ran.prepare, 50, "prepares")
  end)
  jit.on()
end)

scenario "ffi-library-stays"
case("the library of a cdata function stays", function()
  in_child("fork", function()
    ffi.cdef "void unloaded_after_fork(void *); int unloaded_ran(void);"
    local library = ffi.load(os.getenv "UNLOADED_LIBRARY")
    atfork.register_after_fork(library.unloaded_after_fork)
    library = nil
    collectgarbage()
    collectgarbage()
    in_child("fork", function() equal(ffi.load(os.getenv "UNLOADED_LIBRARY").unloaded_ran(), 1, "runs") end)
  end)
end)

case("a cdata of the parent's is not finalised in the child", function()
  local out, into = forktest.pipe()
  local function finalise() forktest.write(into, "x") end
  local value = atfork.per_process(function() return { ffi.gc(ffi.new "int[1]", finalise) } end)
  local mine = value()
  for _, asks in ipairs { true, false } do
    local pid = forktest.fork "fork"
    if pid == 0 then
      if asks then ffi.gc(value()[1], nil) end
      os.exit(42, true)
    end
    tap.passed(pid)
  end
  forktest.write(into, ".")
  equal(forktest.read(out), ".", "what the children wrote")
  ffi.gc(mine[1], nil)
  forktest.close(out)
  forktest.close(into)
end)

scenario "ffi-closure-refused"
case("a Lua function made into a C callback is refused", function()
  local callback = ffi.cast("void (*)(void *)", function() end)
  local ok, message = pcall(atfork.register_after_fork, callback)
  equal(ok, false, "register")
  assert(message:find("not a function of a library", 1, true), message)
  ok, message = pcall(atfork.register_after_fork, ffi.cast("void (*)(void *)", 0))
  equal(ok, false, "NULL")
  assert(message:find("#1 to 'register_after_fork' (a null pointer)", 1, true), message)
  ok, message = pcall(atfork.register, { parent = callback })
  equal(ok, false, "parent")
  assert(message:find("field 'parent': not a function of a library", 1, true), message)
  equal(pcall(atfork.register_after_fork, ffi.new "int (*)[3]"), false, "a pointer to an array")
  callback:free()
end)

tap.run()

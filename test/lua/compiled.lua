-- SPDX-License-Identifier: MIT
-- Forks out of code that LuaJIT has compiled.
local atfork = require "atfork"
local ffi = require "ffi"
local forktest = require "forktest"
local tap = require "tap"
local case, equal, in_child = tap.case, tap.equal, tap.in_child

local LIBRARY = assert(os.getenv "SCENARIO_LIBRARY")
ffi.cdef [[
  int fork(void);
  void _exit(int);
  int scenario_wait(int);
]]
local C = ffi.load(LIBRARY)

-- Much garbage, so that the collector runs where it can.
local function work()
  local made = {}
  for i = 1, 20 do made[i] = { i } end
  return made
end

-- How many children out of a hot loop found `state.child` as it should be.
local function storm(state, times)
  local good = 0
  for _ = 1, times do
    local pid = ffi.C.fork()
    if pid == 0 then ffi.C._exit(state.child == 1 and 42 or 1) end
    if C.scenario_wait(pid) == 42 then good = good + 1 end
  end
  return good
end

local function with_hooks(body)
  local state = { child = 0, parent = 0, prepare = 0 }
  local hooks = {
    atfork.register_after_fork(function()
      state.child = state.child + 1
      work()
    end),
    atfork.register { parent = function() state.parent = state.parent + 1 end },
    atfork.register { prepare = function() state.prepare = state.prepare + 1 end, parent = work },
  }
  local ok, message = xpcall(function() body(state) end, debug.traceback)
  for _, hook in ipairs(hooks) do hook:unregister() end
  if not ok then error(message, 0) end
end

case("10,000 forks in a hot loop", function()
  with_hooks(function(state)
    equal(storm(state, 10000), 10000, "children")
    equal(state.child, 0, "child callbacks in the parent")
    equal(state.parent, 10000, "parents")
  end)
end)

case("after C functions have left their frames behind", function()
  with_hooks(function(state)
    local function deep(...) return ... end
    equal(storm(state, 200), 200, "children")
    for _ = 1, 20 do
      deep(1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, select("#", 1, 2, 3, 4, 5, 6, 7, 8, os.tmpname()))
      equal(storm(state, 20), 20, "children")
    end
  end)
end)

case("in a coroutine", function()
  with_hooks(function(state)
    coroutine.wrap(function()
      equal(storm(state, 500), 500, "children")
    end)()
  end)
end)

case("in a callback", function()
  with_hooks(function(state)
    local good
    local outer = atfork.register {
      priority = -1,
      prepare = function()
        if good == nil then
          good = false
          good = storm(state, 300)
        end
      end,
    }
    in_child("fork", function() equal(good, 300, "children in the child") end)
    equal(good, 300, "children")
    outer:unregister()
  end)
end)

case("with the user's debug hook", function()
  with_hooks(function(state)
    local lines = 0
    local function user() lines = lines + 1 end
    equal(storm(state, 200), 200, "children")
    debug.sethook(user, "l")
    equal(storm(state, 50), 50, "children, hooked")
    equal(debug.gethook(), user, "the hook")
    debug.sethook()
    assert(lines > 100, lines)
  end)
end)

case("while another thread forks", function()
  with_hooks(function(state)
    for _ = 1, 20 do
      equal(storm(state, 20), 20, "children")
      equal(forktest.fork_in_thread "fork", 42)
    end
  end)
end)

case("not compiled: at once", function()
  jit.off()
  with_hooks(function(state)
    equal(storm(state, 50), 50, "children")
    equal(state.prepare, 50, "prepares")
  end)
  jit.on()
end)

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

case("a Lua function made into a C callback is refused", function()
  local callback = ffi.cast("void (*)(void *)", function() end)
  local ok, message = pcall(atfork.register_after_fork, callback)
  equal(ok, false, "register")
  assert(message:find("no library", 1, true), message)
  equal(pcall(atfork.register_after_fork, ffi.cast("void (*)(void *)", 0)), false, "NULL")
  equal(pcall(atfork.register_after_fork, ffi.new "int (*)[3]"), false, "a pointer to an array")
  callback:free()
end)

tap.run()

-- SPDX-License-Identifier: MIT
-- When a callback runs, for every Lua: forks from wherever a script can be.
local atfork = require "atfork"
local forktest = require "forktest"
local tap = require "tap"
local case, scenario, equal, in_child, passed = tap.case, tap.scenario, tap.equal, tap.in_child, tap.passed

local LIBRARY = assert(os.getenv "SCENARIO_LIBRARY")

-- Hooks that count, for the length of one case.
local function counting(body, priority)
  local ran = { prepare = 0, parent = 0, child = 0 }
  local function add(phase)
    return function() ran[phase] = ran[phase] + 1 end
  end
  local hook = atfork.register {
    priority = priority,
    prepare = add "prepare",
    parent = add "parent",
    child = add "child",
  }
  local ok, message = xpcall(function() body(ran) end, debug.traceback)
  hook:unregister()
  if not ok then error(message, 0) end
end

-- All three have run at once, the child's in a child that checks so.
local function forks_at_once(ran)
  local before = ran.prepare
  in_child("fork", function()
    equal(ran.prepare, before + 1, "prepare")
    equal(ran.child, 1, "child")
  end)
  equal(ran.prepare, before + 1, "prepare")
  equal(ran.parent, before + 1, "parent")
  equal(ran.child, 0, "child in the parent")
end

-- ---- At once ----

local places = {
  ["a function"] = function(f) f() end,
  ["a coroutine"] = function(f) assert(coroutine.resume(coroutine.create(f))) end,
  ["a coroutine in a coroutine"] = function(f)
    coroutine.wrap(function()
      coroutine.wrap(f)()
    end)()
  end,
  ["a coroutine that was there before the module's last call"] = function(f)
    local thread = coroutine.wrap(function()
      coroutine.yield()
      f()
    end)
    thread()
    coroutine.wrap(function() atfork.generation() end)()
    thread()
  end,
  ["a metamethod"] = function(f)
    local _ = setmetatable({}, { __index = function() f() end }).x
  end,
  ["a sort"] = function(f)
    local done
    table.sort({ 1, 2 }, function(a, b)
      if not done then f() end
      done = true
      return a < b
    end)
  end,
  ["a gsub"] = function(f) ("x"):gsub("x", function() f() end) end,
  ["a reader of load"] = function(f)
    load(function() f() end)
  end,
  ["an error handler"] = function(f) xpcall(error, function() f() end) end,
  ["an iterator"] = function(f)
    for _ in function() f() end do break end
  end,
  ["a debug hook"] = function(f)
    local inside
    debug.sethook(function()
      if inside then return end
      inside = true
      debug.sethook()
      f()
    end, "", 1)
    local _ = 1
    debug.sethook()
    assert(inside, "no hook")
  end,
}

local names = {}
for name in pairs(places) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  case("at once/in " .. name, function()
    counting(function(ran)
      local message
      places[name](function()
        local ok, why = pcall(forks_at_once, ran)
        message = ok and "ran" or why
      end)
      equal(message, "ran", "the fork")
    end)
  end)
end

-- GLib, ZeroMQ, gRPC and resolvers start threads in the process of a script that forks: its prepare must run.
case("at once/beside a thread that a library has started", function()
  in_child("fork", function()
    assert(forktest.start_thread(), "a thread")
    counting(forks_at_once)
    counting(function(ran)
      coroutine.wrap(function()
        atfork.generation()
        forks_at_once(ran)
      end)()
    end)
  end)
end)

case("at once/in a finaliser", function()
  counting(function(ran)
    local message
    local function finalise()
      local ok, why = pcall(forks_at_once, ran)
      message = ok and "ran" or why
    end
    if newproxy then
      getmetatable(newproxy(true)).__gc = finalise
    else
      setmetatable({}, { __gc = finalise })
    end
    collectgarbage()
    collectgarbage()
    equal(message, "ran", "the fork")
  end)
end)

scenario "fork-in-each-phase"
case("at once/in each callback of another hook", function()
  for _, phase in ipairs { "prepare", "parent", "child" } do
    counting(function(ran)
      local inside
      local outer = atfork.register {
        name = "outer",
        [phase] = function()
          if inside then return end
          inside = true
          in_child("fork", function() equal(ran.child >= 1, true, "child in " .. phase) end)
        end,
      }
      in_child("fork", function()
        equal(ran.child, 1, "child")
        equal(inside, phase ~= "parent" or nil, "inside in the child")
      end)
      equal(inside, phase ~= "child" or nil, "inside")
      equal(ran.parent, phase == "child" and 1 or 2, "parents for " .. phase)
      outer:unregister()
    end, -1)
  end
end)

case("at once/in a coroutine inside a callback", function()
  counting(function(ran)
    local inside
    local outer = atfork.register_after_fork(function()
      if inside then return end
      inside = true
      coroutine.wrap(function()
        in_child("fork", function() equal(atfork.generation(), 2, "generation") end)
      end)()
    end)
    in_child("fork", function() equal(ran.child, 1, "child") end)
    outer:unregister()
  end, -1)
end)

case("at once/in a coroutine of its own", function()
  local running, main
  local hook = atfork.register_after_fork(function() running, main = coroutine.running() end)
  in_child("fork", function()
    equal(type(running), "thread", "running")
    assert(not main, "it is the main one")
  end)
  hook:unregister()
end)

-- ---- Later ----

case("later/before the next instruction", function()
  local order = {}
  local hooks = {}
  for i, priority in ipairs { 3, 1, 2 } do
    hooks[i] = atfork.register {
      priority = priority,
      child = function() order[#order + 1] = priority end,
    }
  end
  counting(function(ran)
    forktest.fork_between "fork"
    local _ = 1 -- the instruction that the debug hook came before
    local seen = ran.child
    if forktest.forked() == 0 then forktest.exit(seen == 1 and table.concat(order) == "123" and 42 or 1) end
    passed(forktest.forked())
    equal(ran.prepare, 0, "prepare")
    equal(ran.parent, 0, "its parent")
    equal(#order, 0, "children in the parent")
  end)
  for i = 1, 3 do hooks[i]:unregister() end
end)

case("later/a parent without prepare too", function()
  local ran = 0
  local hook = atfork.register { parent = function() ran = ran + 1 end }
  forktest.fork_between "fork"
  local _ = 1
  local seen = ran
  if forktest.forked() == 0 then forktest.exit(ran == 0 and 42 or 1) end
  equal(seen, 1, "parent")
  passed(forktest.forked())
  equal(ran, 1, "parent, afterwards")
  hook:unregister()
end)

scenario "parent-not-childs"
case("later/what waits in a parent is not the child's", function()
  local ran = 0
  local hook = atfork.register { parent = function() ran = ran + 1 end }
  equal(forktest.fork_in_thread "fork", 42)
  equal(forktest.fork_in_thread "fork", 42)
  in_child("fork", function()
    atfork.generation()
    equal(ran, 0, "in the child")
    equal(forktest.fork_in_thread "fork", 42)
    atfork.generation()
    equal(ran, 1, "the child's own")
  end)
  equal(ran, 1, "the fork's own, at once")
  atfork.generation()
  equal(ran, 3, "with those that waited")
  hook:unregister()
end)

case("later/an unregistered hook is not run", function()
  local ran = 0
  local second
  local first = atfork.register_after_fork(function() second:unregister() end)
  second = atfork.register_after_fork(function() ran = ran + 1 end)
  forktest.fork_between "fork"
  local _ = 1
  if forktest.forked() == 0 then forktest.exit(ran == 0 and 42 or 1) end
  passed(forktest.forked())
  first:unregister()
  second:unregister()
end)

case("later/a callback that registers many more", function()
  local ran, more = 0, {}
  local first = atfork.register_after_fork(function()
    for i = 1, 1000 do more[i] = atfork.register_after_fork(print) end
  end)
  local last = atfork.register_after_fork(function() ran = ran + 1 end)
  forktest.fork_between "fork"
  local _ = 1
  if forktest.forked() == 0 then forktest.exit(ran == 1 and #more == 1000 and 42 or 1) end
  passed(forktest.forked())
  first:unregister()
  last:unregister()
end)

case("later/a parent that registers many more, and is due several times", function()
  in_child("fork", function()
    local ran, more = 0, {}
    atfork.register {
      parent = function()
        ran = ran + 1
        for i = 1, 1000 do more[#more + 1] = atfork.register_after_fork(print) end
      end,
    }
    for _ = 1, 3 do equal(forktest.fork_in_thread "fork", 42) end
    atfork.generation()
    equal(ran, 3, "parents")
    equal(#more, 3000, "hooks")
    for _, hook in ipairs(more) do hook:unregister() end
  end)
end)

scenario "fork-in-child-callback"
case("later/a callback that forks", function()
  local ran, inside = 0, false
  local hooks = {}
  for i = 1, 3 do
    hooks[i] = atfork.register_after_fork(function()
      ran = ran + 1
      if i == 2 and not inside then
        inside = true
        ran = 0
        in_child("fork", function() equal(ran, 3, "in the inner child") end)
      end
    end)
  end
  forktest.fork_between "fork"
  local _ = 1
  if forktest.forked() == 0 then forktest.exit(ran == 1 and inside and 42 or 1) end
  passed(forktest.forked())
  for i = 1, 3 do hooks[i]:unregister() end
end)

scenario "errors-after-c-fork"
case("later/errors are reported", function()
  local text = tap.stderr_of(function()
    local ran
    atfork.register { name = "breaks", child = function() error "a broken callback" end }
    atfork.register_after_fork(function() ran = true end)
    forktest.fork_between "fork"
    local _ = 1
    if forktest.forked() == 0 then forktest.exit(ran and 42 or 1) end
    passed(forktest.forked())
  end)
  assert(text:find("error in child of hook 'breaks'", 1, true), text)
end)

case("later/C functions do not wait", function()
  local hook = atfork.register { parent = function() end, child = atfork.symbol(LIBRARY, "scenario_count") }
  local before = forktest.counted()
  local function count(pid) return forktest.counted() - before, pid end
  forktest.fork_between "fork"
  local _ = 1
  local counted, pid = count(forktest.forked())
  if pid == 0 then forktest.exit(counted == 1 and 42 or 1) end
  passed(pid)
  hook:unregister()
end)

-- ---- prepared() ----

-- A hook that notes what prepared() says, for the length of one case; prepare(count) is its prepare.
local function noting(prepare, body)
  local said = { parent = {}, child = {} }
  local count = 0
  local function note(phase)
    return function() table.insert(said[phase], tostring(atfork.prepared())) end
  end
  local hook = atfork.register {
    name = "noting",
    prepare = type(prepare) == "function" and function()
      count = count + 1
      prepare(count)
    end or prepare,
    parent = note "parent",
    child = note "child",
  }
  atfork.on_error = function() end
  local ok, message = xpcall(function() body(said) end, debug.traceback)
  atfork.on_error = nil
  hook:unregister()
  if not ok then error(message, 0) end
end

local function said_is(said, phase, expected)
  equal(table.concat(said[phase], " "), expected, phase)
end

-- What it says in a fork, after what it said before.
local function forks(said, answer)
  local parent, child = #said.parent, #said.child
  in_child("fork", function()
    equal(said.child[child + 1], answer, "child")
    equal(#said.child, child + 1, "children")
  end)
  equal(said.parent[parent + 1], answer, "parent")
  equal(#said.parent, parent + 1, "parents")
end

local function forks_between(said, answer)
  forktest.fork_between "fork"
  local _ = 1
  if forktest.forked() == 0 then forktest.exit(said.child[#said.child] == answer and 42 or 1) end
  passed(forktest.forked())
end

scenario "prepared-returned"
case("prepared/when prepare has returned", function()
  noting(function() end, function(said) forks(said, "true") end)
end)

scenario "prepared-raised"
case("prepared/not when it raised an error", function()
  noting(function(count) if count ~= 2 then error "no" end end, function(said)
    forks(said, "false")
    forks(said, "true")
    forks(said, "false")
  end)
end)

case("prepared/not when it yielded, in a coroutine that forks", function()
  noting(function() coroutine.yield() end, function(said)
    coroutine.wrap(function() forks(said, "false") end)()
  end)
end)

scenario "prepared-absent"
case("prepared/not without a prepare", function()
  noting(nil, function(said) forks(said, "false") end)
end)

case("prepared/a grandchild has its own", function()
  noting(function(count) if count == 2 then error "no" end end, function(said)
    in_child("fork", function()
      forks(said, "false")
      said_is(said, "child", "true")
    end)
    said_is(said, "parent", "true")
  end)
end)

scenario "prepared-after-c-fork"
case("prepared/not in a process of which nobody was told", function()
  noting(function() end, function(said)
    forks(said, "true")
    in_child("syscall", function()
      equal(atfork.poll(), 1, "poll")
      said_is(said, "child", "false")
      forks(said, "true")
    end)
  end)
end)

scenario "prepared-after-c-fork"
case("prepared/not when prepare could not run", function()
  noting(function() end, function(said)
    forks(said, "true")
    forks_between(said, "false")
    said_is(said, "parent", "true")
  end)
end)

scenario "prepared-in-c"
case("prepared/a prepare in C always runs", function()
  noting(atfork.symbol(LIBRARY, "scenario_count"), function(said)
    forks(said, "true")
    forks_between(said, "true")
    said_is(said, "parent", "true true")
    in_child("syscall", function()
      equal(atfork.poll(), 1, "poll")
      said_is(said, "child", "false")
    end)
  end)
end)

-- The inner fork ends before the outer one.
for where, run in pairs {
  ["prepare"] = function(f) f() end,
  ["a coroutine that prepare resumes"] = function(f) assert(coroutine.resume(coroutine.create(f))) end,
} do
  for _, failing in ipairs { 1, 2 } do
    scenario "prepared-nested"
    case(("prepared/two forks, one in %s, of which number %d fails"):format(where, failing), function()
      noting(function(count) if count == failing then error "no" end end, function(said)
        local inside
        local inner, outer = tostring(failing == 1), tostring(failing == 2)
        local forker = atfork.register {
          priority = -1,
          prepare = function()
            if inside then return end
            inside = true
            run(function() in_child("fork", function() said_is(said, "child", inner) end) end)
          end,
        }
        in_child("fork", function() said_is(said, "child", outer) end)
        said_is(said, "parent", inner .. " " .. outer)
        forker:unregister()
      end)
    end)
  end
end

-- The outer fork goes on in the inner one's child: there are four processes.
scenario "outer-fork-goes-on"
case("prepared/an inner fork's child goes on with the outer fork", function()
  noting(function(count) if count == 1 then error "no" end end, function(said)
    local inner
    local forker = atfork.register {
      priority = -1,
      prepare = function()
        if inner then return end
        inner = -1
        inner = forktest.fork "fork"
      end,
    }
    local outer = forktest.fork "fork"
    local of_child, of_parent = table.concat(said.child, " "), table.concat(said.parent, " ")
    if outer == 0 then
      forktest.exit(of_child == (inner == 0 and "true false" or "false") and 42 or 1)
    end
    passed(outer)
    if inner == 0 then forktest.exit(of_child == "true" and of_parent == "false" and 42 or 1) end
    passed(inner)
    equal(of_parent, "true false", "parent")
    forker:unregister()
  end)
end)

-- Each round makes two processes, the second in a child callback of the first.  That one's child phase ends there.
case("prepared/a hundred generations, each other one forked by a child callback", function()
  noting(function(count) if count % 2 == 0 then error "no" end end, function(said)
    local inner
    local forker = atfork.register {
      priority = 1,
      child = function()
        if inner then return end
        inner = true
        local pid = forktest.fork "fork"
        if pid > 0 then forktest.exit(forktest.wait(pid)) end
      end,
    }
    local answers = ""
    for round = 1, 50 do
      inner = nil
      local pid = forktest.fork "fork"
      if pid > 0 and round > 1 then forktest.exit(forktest.wait(pid)) end
      if pid > 0 then
        passed(pid)
        forker:unregister()
        return
      end
      answers = answers .. "true false "
    end
    local ok = table.concat(said.child, " ") .. " " == answers and #said.parent == 0 and atfork.generation() == 100
    forktest.exit(ok and 42 or 1)
  end)
end)

scenario "prepared-elsewhere"
case("prepared/is an error elsewhere", function()
  local function refused()
    local ok, message = pcall(atfork.prepared)
    equal(ok, false, "prepared()")
    assert(message:find("prepared() may be called only in a parent or child callback", 1, true), message)
  end
  local tried
  local hook = atfork.register {
    prepare = function()
      refused()
      tried = true
    end,
  }
  refused()
  in_child("fork", function()
    equal(tried, true, "in prepare")
    refused()
  end)
  hook:unregister()
end)

-- ---- The user's debug hook ----

for _, way in ipairs { "at once", "later" } do
  case("sethook/line and count hooks go on, " .. way, function()
    for _, mode in ipairs { { "l", 0 }, { "", 3 }, { "crl", 5 } } do
      local events = 0
      local function user() events = events + 1 end
      counting(function(ran)
        debug.sethook(user, mode[1], mode[2])
        local pid
        if way == "later" then
          forktest.fork_between "fork"
          local _ = 1
          pid = forktest.forked()
        else
          pid = forktest.fork "fork"
        end
        local hook, mask, count = debug.gethook()
        local before = events
        for _ = 1, 10 do
          local _ = 1
        end
        local after = events
        debug.sethook()
        local ok = hook == user and mask == mode[1] and count == mode[2] and after > before
        if pid == 0 then forktest.exit(ok and ran.child == 1 and 42 or 1) end
        passed(pid)
        assert(ok, "the parent's hook")
      end)
    end
  end)
end

case("sethook/each coroutine's is as it was, after callbacks that waited", function()
  local function user() end
  counting(function(ran)
    local thread = coroutine.create(function()
      atfork.generation()
      forktest.fork_between "fork"
      local _ = 1
      local pid = forktest.forked()
      coroutine.yield(pid, (debug.gethook()))
    end)
    debug.sethook(user, "l")
    local _, pid, inner = coroutine.resume(thread)
    local outer = debug.gethook()
    debug.sethook()
    local ok = outer == user and inner == (jit and user or nil) and not debug.gethook(thread)
    if pid == 0 then forktest.exit(ok and ran.child == 1 and 42 or 1) end
    passed(pid)
    assert(ok, "the parent's hooks")
  end)
end)

case("sethook/set in a callback, it stays", function()
  local function user() end
  local hook = atfork.register_after_fork(function()
    if jit then debug.sethook(user, "l") end
  end)
  in_child("fork", function()
    if jit then equal(debug.gethook(), user) end
    debug.sethook()
  end)
  hook:unregister()
end)

-- ---- The end of a callback that does not return ----

local function exits(status, close, phase)
  local hook = atfork.register { [phase] = function() os.exit(status, close) end }
  local pid = forktest.fork "fork"
  if pid == 0 then forktest.exit(1) end
  equal(forktest.wait(pid), status, "exit status")
  hook:unregister()
end

scenario "exit-in-callback"
case("exit/os.exit in a child callback ends the child alone", function()
  exits(7, false, "child")
end)

case("exit/and closes the state", function()
  exits(8, true, "child")
end)

case("exit/in prepare and parent, too", function()
  for _, phase in ipairs { "prepare", "parent" } do
    local pid = forktest.fork "fork"
    if pid == 0 then
      atfork.register { [phase] = function() os.exit(9, true) end }
      local inner = forktest.fork "fork"
      forktest.exit(inner == 0 and 0 or 1)
    end
    equal(forktest.wait(pid), 9, "exit status for " .. phase)
  end
end)

case("exit/in a callback that waited", function()
  local hook = atfork.register_after_fork(function() os.exit(10, true) end)
  forktest.fork_between "fork"
  local _ = 1
  equal(forktest.wait(forktest.forked()), 10, "exit status")
  hook:unregister()
end)

-- The state is closed before that, or is not.
scenario "fork-at-exit"
case("exit/a fork as the process ends", function()
  for _, closes in ipairs { false, _VERSION ~= "Lua 5.1" or jit ~= nil } do
    local ran = 0
    local count = atfork.symbol(LIBRARY, "scenario_count")
    local pid = forktest.fork "fork"
    if pid == 0 then
      atfork.register_after_fork(function() ran = ran + 1 end)
      atfork.register { prepare = function() end, child = count }
      forktest.fork_at_exit()
      os.exit(0, closes)
    end
    equal(forktest.wait(pid), closes and 1 or 42, "exit status")
  end
end)

-- ---- Objects ----

scenario "hook-with-scope"
case("close/<close> unregisters", function()
  local chunk = (loadstring or load)("local atfork, f = ... do local hook <close> = f() end return #atfork.hooks()")
  if _VERSION < "Lua 5.4" then return equal(chunk, nil, "a chunk") end
  equal(chunk(atfork, function() return atfork.register_after_fork(print) end), 0, "hooks")
end)

scenario "hook-outlives-object"
case("close/a hook outlives its object", function()
  in_child("fork", function()
    local ran = 0
    atfork.register_after_fork(function() ran = ran + 1 end)
    collectgarbage()
    collectgarbage()
    in_child("fork", function() equal(ran, 1, "runs") end)
  end)
end)

case("memory/100,000 rounds", function()
  if os.getenv "SANITIZER" then return end -- which keeps what is freed
  in_child("fork", function()
    local function rounds()
      for i = 1, 33334 do
        atfork.register { name = "round", priority = i % 3, child = function() return i end }:unregister()
        atfork.register_after_fork(atfork.symbol(LIBRARY, "scenario_count")):unregister()
      end
      collectgarbage()
      collectgarbage()
      return forktest.resident()
    end
    rounds()
    local before = rounds()
    local after = rounds()
    -- malloc() gives back no less than 128 kB at once.
    assert(after - before < 256, ("%d kB became %d kB"):format(before, after))
  end)
end)

case("memory/slots are used again, in any order", function()
  local hooks, ran = {}, 0
  for round = 1, 5 do
    for i = 1, 500 do hooks[i] = atfork.register { name = "n" .. i, child = function() ran = ran + 1 end } end
    for i = 1, 500, round do hooks[i]:unregister() end
    for i = 500, 1, -1 do hooks[i]:unregister() end
  end
  equal(ran, 0, "runs")
end)

case("per_process/the function may yield", function()
  local get = atfork.per_process(function() return coroutine.yield "waiting" end)
  local thread = coroutine.create(function() return get() end)
  local _, what = coroutine.resume(thread)
  equal(what, "waiting", "what it yields")
  local _, value = coroutine.resume(thread, "connection")
  equal(value, "connection", "what it returns")
  equal(get(), "connection", "and is remembered")
end)

scenario "error-that-cannot-be-shown"
case("errors/of every kind, each once", function()
  local text = tap.stderr_of(function()
    local ran = 0
    atfork.register { name = "nil", child = function() error(nil) end }
    atfork.register { name = "number", child = function() error(42) end }
    atfork.register { name = "table", child = function() error { 1 } end }
    atfork.register {
      name = "mute",
      child = function()
        error(setmetatable({}, { __tostring = function() error "no words" end }))
      end,
    }
    local function overflow() return 1 + overflow() end
    atfork.register { name = "overflow", child = overflow }
    atfork.register_after_fork(function() ran = ran + 1 end)
    in_child("fork", function() equal(ran, 1, "the other hook") end)
  end)
  for _, name in ipairs { "nil", "number", "table", "mute", "overflow" } do
    local _, count = text:gsub("hook '" .. name .. "'", "")
    equal(count, 1, "reports of " .. name .. " in " .. text)
  end
  -- Lua 5.4.9 calls no error handler where the overflow has left no room for it: for frames of some sizes.
  assert(text:find("stack overflow", 1, true) or text:find("error in error handling", 1, true), text)
end)

scenario "symbol-without-data"
case("symbol/is called with nothing", function()
  for _, mixed in ipairs { false, true } do
    local hook = atfork.register {
      parent = mixed and function() end or nil,
      child = atfork.symbol(LIBRARY, "scenario_note_data"),
    }
    in_child("fork", function() equal(forktest.noted(), 0, "data") end)
    hook:unregister()
  end
end)

-- What the hook counts is in data of one phase, or of several, and beside Lua functions.
scenario("symbol-data", "symbol-data-each-phase")
case("symbol/is called with its data", function()
  local unloaded = assert(os.getenv "UNLOADED_LIBRARY")
  for _, how in ipairs { "light", "full", "address" } do
    for _, also in ipairs { "nothing", "a Lua function", "other data" } do
      local data = forktest.counter(how)
      if math.tointeger then data = math.tointeger(data) or data end
      local add_one = atfork.symbol(unloaded, "unloaded_add_one", data)
      local hook = atfork.register {
        prepare = add_one,
        parent = also == "a Lua function" and function() end
          or also == "other data" and atfork.symbol(LIBRARY, "scenario_note_data")
          or add_one,
        child = add_one,
      }
      add_one = nil
      collectgarbage()
      in_child("fork", function() equal(forktest.value(data), 2, how .. " in the child, with " .. also) end)
      equal(forktest.value(data), also == "nothing" and 2 or 1, how .. ", with " .. also)
      equal(hook:unregister(), true)
    end
  end
end)

scenario "symbol-data-kept"
case("symbol/keeps the object that its data lie in, while it is registered", function()
  local kept = setmetatable({}, { __mode = "k" })
  local hook
  do
    local data = forktest.counter "full"
    kept[data] = true
    hook = atfork.register_after_fork(atfork.symbol(os.getenv "UNLOADED_LIBRARY", "unloaded_add_one", data))
  end
  collectgarbage()
  collectgarbage()
  in_child("fork", function() equal(forktest.value((next(kept))), 1, "value") end)
  hook:unregister()
  hook = nil
  atfork.register_after_fork(print):unregister()
  collectgarbage()
  collectgarbage()
  equal(next(kept), nil, "the object")
end)

scenario "symbol-data-refused"
case("symbol/data that are no pointer", function()
  for _, bad in ipairs { "text", {}, true, print } do
    local ok, message = pcall(atfork.symbol, nil, "free", bad)
    equal(ok, false, type(bad))
    assert(message:find("#3 to 'symbol' (pointer expected, got " .. type(bad), 1, true), message)
  end
  local ok, message = pcall(atfork.symbol, nil, "free", 0.5)
  equal(ok, false, "0.5")
  assert(message:find("#3 to 'symbol' (number has no integer", 1, true), message)
end)

if jit then
  case("symbol/FFI objects as data", function()
    local ffi = require "ffi"
    local unloaded = os.getenv "UNLOADED_LIBRARY"
    local array = ffi.new("int[1]")
    local struct = ffi.new("struct { int value; }")
    local address = tonumber(ffi.cast("uintptr_t", array))
    for what, data in pairs {
      array = array,
      pointer = ffi.cast("int *", array),
      struct = struct,
      integer = ffi.cast("uintptr_t", array),
      number = address,
    } do
      array[0], struct.value = 0, 0
      local hook = atfork.register_after_fork(atfork.symbol(unloaded, "unloaded_add_one", data))
      in_child("fork", function() equal(array[0] + struct.value, 1, what) end)
      hook:unregister()
    end
  end)
end

-- The last, as Lua 5.1 sees no yield across C in a coroutine that was resumed.
case("at once/a script that resumes that coroutine does no harm", function()
  local runner
  local hook = atfork.register { prepare = function() runner = coroutine.running() end }
  in_child("fork", function() end)
  equal(coroutine.resume(runner), false, "resume")
  if coroutine.close then coroutine.close(runner) end
  counting(forks_at_once)
  hook:unregister()
end)

tap.run()

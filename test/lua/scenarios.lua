-- SPDX-License-Identifier: MIT
-- The same scenarios for every Lua.
local atfork = require "atfork"
local forktest = require "forktest"
local tap = require "tap"
local case, scenario, equal, in_child = tap.case, tap.scenario, tap.equal, tap.in_child

local LIBRARY = assert(os.getenv "SCENARIO_LIBRARY")
local WAYS = { "fork", "_Fork", "syscall", "clone" }

local function bypasses(way)
  return way ~= "fork"
end

-- A hook for the length of one case.
local function with(hook, body)
  local ok, message = xpcall(body, debug.traceback)
  hook:unregister()
  if not ok then error(message, 0) end
end

for _, way in ipairs(WAYS) do
  scenario "once-by-each-way"
  case("once/child hook runs once, by " .. way, function()
    local ran = 0
    with(atfork.register_after_fork(function() ran = ran + 1 end), function()
      for _ = 1, 3 do
        in_child(way, function()
          if bypasses(way) then
            equal(ran, 0, "runs before the poll")
            equal(atfork.poll(), 1, "poll")
          end
          equal(ran, 1, "runs")
          equal(atfork.poll(), 0, "second poll")
          equal(atfork.generation(), 1, "generation")
        end)
      end
      equal(ran, 0, "runs in the parent")
    end)
  end)
end

case("once/three deep", function()
  local ran = 0
  local function descend(depth)
    equal(ran, depth, "runs")
    equal(atfork.generation(), depth, "generation")
    if depth < 3 then in_child("fork", descend, depth + 1) end
  end
  with(atfork.register_after_fork(function() ran = ran + 1 end), function()
    in_child("fork", descend, 1)
  end)
end)

scenario "three-generations"
case("once/three deep, in all ways", function()
  local ran = 0
  local function descend(ways, depth)
    if bypasses(ways[depth]) then equal(atfork.poll(), 1, "poll") end
    equal(ran, depth, "runs")
    equal(atfork.generation(), depth, "generation")
    if depth < 3 then in_child(ways[depth + 1], descend, ways, depth + 1) end
  end
  with(atfork.register_after_fork(function() ran = ran + 1 end), function()
    for _, a in ipairs(WAYS) do
      for _, b in ipairs(WAYS) do
        for _, c in ipairs(WAYS) do in_child(a, descend, { a, b, c }, 1) end
      end
    end
  end)
end)

scenario "exit-status"
case("once/a child ends with the status that its program gives", function()
  local trace = {}
  local function note(phase)
    return function() trace[#trace + 1] = phase end
  end
  with(atfork.register { prepare = note "prepare", parent = note "parent", child = note "child" }, function()
    for status = 0, 7, 7 do
      for _, way in ipairs(WAYS) do
        local pid = forktest.fork(way)
        if pid == 0 then os.exit(status, true) end
        equal(forktest.wait(pid), status, "exit status by " .. way)
      end
    end
    equal(table.concat(trace, " "), "prepare parent prepare parent", "what ran in the parent")
  end)
end)

scenario "own-hook-not-for-own-fork"
case("once/a new process's own hook does not run for its fork", function()
  for _, way in ipairs(WAYS) do
    in_child(way, function()
      local ran = 0
      atfork.register_after_fork(function() ran = ran + 1 end)
      equal(atfork.poll(), 0, "poll")
      equal(ran, 0, "runs")
    end)
  end
end)

scenario "missed-before-next-fork"
case("once/what was missed runs before the next fork", function()
  local ran = 0
  with(atfork.register_after_fork(function() ran = ran + 1 end), function()
    in_child("_Fork", function()
      equal(ran, 0, "before")
      in_child("fork", function() equal(ran, 2, "in the child's child") end)
      equal(ran, 1, "in the child")
    end)
  end)
end)

scenario "order"
case("order/by priority, then registration; prepare in the reverse", function()
  local prepared, parented, childed = {}, {}, {}
  local hooks = {}
  local function add(letter, priority)
    hooks[#hooks + 1] = atfork.register {
      name = letter,
      priority = priority,
      prepare = function() prepared[#prepared + 1] = letter end,
      parent = function() parented[#parented + 1] = letter end,
      child = function() childed[#childed + 1] = letter end,
    }
  end
  add("a", 5)
  add("b", nil)
  add("c", -32768)
  add("d", 5)
  add("e", 32767)
  in_child("fork", function()
    equal(table.concat(childed), "cbade", "child")
    equal(table.concat(parented), "", "parent in the child")
    equal(table.concat(prepared), "edabc", "prepare")
  end)
  equal(table.concat(prepared), "edabc", "prepare")
  equal(table.concat(parented), "cbade", "parent")
  equal(table.concat(childed), "", "child in the parent")
  for _, hook in ipairs(hooks) do equal(hook:unregister(), true, "unregister") end
end)

scenario "unregister-in-prepare"
case("pairing/a hook that is unregistered in prepare gets the rest", function()
  local trace = ""
  local hook
  hook = atfork.register {
    prepare = function()
      trace = trace .. "prepare "
      equal(hook:unregister(), true)
      equal(hook:unregister(), false)
    end,
    parent = function() trace = trace .. "parent" end,
    child = function() trace = trace .. "child" end,
  }
  in_child("fork", function() equal(trace, "prepare child") end)
  equal(trace, "prepare parent")
  in_child("fork", function() equal(trace, "prepare parent") end)
  equal(#atfork.hooks(), 0, "hooks")
end)

scenario "register-in-callback"
case("pairing/a hook that is registered in a callback joins the next fork", function()
  local late, ran = nil, 0
  local early = atfork.register {
    prepare = function()
      late = late or atfork.register_after_fork(function() ran = ran + 1 end)
    end,
  }
  in_child("fork", function() equal(ran, 0, "first fork") end)
  in_child("fork", function() equal(ran, 1, "second fork") end)
  early:unregister()
  late:unregister()
end)

scenario "fork-in-prepare"
case("pairing/forks in callbacks", function()
  local trace = {}
  local inner = false
  local hook = atfork.register {
    prepare = function()
      if inner then return end
      inner = true
      in_child("fork", function() equal(trace.child, 1, "inner child") end)
      equal(trace.parent, 1, "inner parent")
    end,
    parent = function() trace.parent = (trace.parent or 0) + 1 end,
    child = function() trace.child = (trace.child or 0) + 1 end,
  }
  with(hook, function()
    in_child("fork", function() equal(trace.child, 1, "outer child") end)
    equal(trace.parent, 2, "outer parent")
  end)
end)

scenario "change-in-each-phase"
case("pairing/hooks come and go in each phase", function()
  in_child("fork", function()
    local trace = ""
    local function note(word)
      return function() trace = trace .. word end
    end
    local function change()
      atfork.register_after_fork(note "never "):unregister()
      atfork.register_after_fork(note "later ")
    end
    local hook = atfork.register { prepare = change, parent = change, child = change }
    in_child("fork", function()
      equal(trace, "", "in the fork's child")
      hook:unregister()
      in_child("fork", function() equal(trace, "later later ", "in its child") end)
    end)
    hook:unregister()
    in_child("fork", function() equal(trace, "later later ", "in the next child") end)
  end)
end)

scenario "unregister-all-in-child"
case("pairing/a child callback that unregisters all hooks", function()
  local hooks, ran = {}, 0
  for i = 1, 3 do
    hooks[i] = atfork.register_after_fork(function()
      for _, hook in ipairs(hooks) do hook:unregister() end
      ran = ran + 1
    end)
  end
  in_child("fork", function()
    equal(ran, 3, "runs")
    equal(#atfork.hooks(), 0, "hooks")
    in_child("fork", function() equal(ran, 3, "runs below") end)
  end)
  for _, hook in ipairs(hooks) do equal(hook:unregister(), true, "unregister") end
end)

scenario "unregister-ends"
case("unregister/ends it", function()
  local ran = 0
  local hook = atfork.register_after_fork(function() ran = ran + 1 end)
  equal(hook:unregister(), true, "first")
  equal(hook:unregister(), false, "second")
  in_child("fork", function() equal(ran, 0, "runs") end)
end)

scenario "callables-let-go"
case("unregister/lets go of the function", function()
  local kept = setmetatable({}, { __mode = "k" })
  do
    local callback = function() return kept end
    kept[callback] = true
    local hook = atfork.register_after_fork(callback)
    callback = nil
    collectgarbage()
    collectgarbage()
    assert(next(kept), "collected while registered")
    hook:unregister()
  end
  collectgarbage()
  collectgarbage()
  assert(not next(kept), "kept after unregister")
end)

scenario "cycle-let-go"
case("unregister/lets go of a function that refers to its hook", function()
  local kept = setmetatable({}, { __mode = "k" })
  do
    local hook
    local callback = function() return hook end
    kept[callback] = true
    hook = atfork.register_after_fork(callback)
    callback = nil
    collectgarbage()
    collectgarbage()
    assert(next(kept), "collected while registered")
    in_child("fork", function() hook:unregister() end)
    hook:unregister()
  end
  collectgarbage()
  collectgarbage()
  assert(not next(kept), "kept after unregister")
end)

scenario "rounds-leave-memory"
case("unregister/many rounds leave memory where it was", function()
  local function round(times)
    for i = 1, times do
      atfork.register { name = "round", priority = i % 3, child = function() return i end }:unregister()
    end
    collectgarbage()
    collectgarbage()
    return collectgarbage "count"
  end
  local before = round(1000)
  local after = round(20000)
  assert(after < before + 8, ("%.1f kB became %.1f kB"):format(before, after))
end)

scenario "key-replaces"
case("key/a hook replaces the one of an equal key", function()
  local ran = ""
  local function add(key, letter)
    return atfork.register { key = key, child = function() ran = ran .. letter end }
  end
  local key, other = {}, {}
  local first = add(key, "a")
  local apart = add(other, "b")
  local last = add(key, "c")
  equal(first:unregister(), false, "the first is gone")
  equal(first.key, key)
  equal(last.key, key)
  in_child("fork", function() equal(ran, "bc", "runs") end)
  equal(last:unregister(), true)
  local again = add(key, "d")
  in_child("fork", function() equal(ran, "bd", "runs") end)
  apart:unregister()
  again:unregister()
  equal(#atfork.hooks(), 0, "hooks")
end)

scenario "key-equality"
case("key/of every kind", function()
  local file = io.stdout
  for _, key in ipairs { "text", 3, 0.5, true, false, print, file, coroutine.create(function() end) } do
    local hooks = {}
    for i = 1, 3 do hooks[i] = atfork.register { key = key, child = atfork.symbol(nil, "abort") } end
    equal(#atfork.hooks(), 1, tostring(key))
    equal(hooks[3].key, key)
    equal(hooks[3]:unregister(), true)
  end
  local a, b = atfork.register { key = 1, child = print }, atfork.register { key = 1.0, child = print }
  equal(a:unregister(), false, "1 is 1.0")
  b:unregister()
  local ok, message = pcall(atfork.register, { key = 0 / 0, child = print })
  equal(ok, false, "0 / 0")
  assert(message:find("field 'key'", 1, true), message)
  local none = atfork.register_after_fork(print)
  _G[1] = "no key"
  equal(none.key, nil)
  _G[1] = nil
  none:unregister()
end)

scenario "key-read-again"
case("key/read again a thousand times, it is one hook", function()
  local ran = 0
  for round = 1, 1000 do
    atfork.register { key = "configuration", child = function() ran = ran + round end }
    if round % 7 == 0 then atfork.register_after_fork(print):unregister() end
  end
  in_child("fork", function() equal(ran, 1000, "runs") end)
  in_child("fork", function() atfork.register { key = "configuration", child = print }:unregister() end)
  equal(#atfork.hooks(), 1, "hooks")
  atfork.register { key = "configuration", child = print }:unregister()
  equal(#atfork.hooks(), 0, "hooks")
end)

scenario "key-in-callback"
case("key/replaced in a callback, the old hook gets the rest of the fork", function()
  local trace, hook = "", nil
  local function add(letter)
    hook = atfork.register {
      key = "key",
      prepare = function()
        trace = trace .. letter
        if letter == "a" then add "b" end
      end,
      child = function() trace = trace .. letter end,
    }
  end
  add "a"
  in_child("fork", function()
    equal(trace, "aa")
    in_child("fork", function() equal(trace, "aabb") end)
  end)
  equal(#atfork.hooks(), 1, "hooks")
  hook:unregister()
end)

scenario "key-kept-by-bad-call"
case("key/a bad call leaves the hook of the key", function()
  local hook = atfork.register { key = "key", child = print }
  for _, bad in ipairs {
    { key = "key", child = 3 },
    { key = "key", child = print, name = 3 },
    { key = "key", child = print, priority = 0.5 },
    { key = "key" },
  } do
    equal(pcall(atfork.register, bad), false, "register")
  end
  equal(#atfork.hooks(), 1, "hooks")
  equal(hook:unregister(), true, "unregister")
end)

-- A debug hook, or a callback that has waited, may run before any instruction of the module.
case("key/registered before each instruction of another call, it is one hook", function()
  local function add() return atfork.register { key = "key", child = print } end
  for name, call in pairs { register = add, unregister = function(hook) hook:unregister() end } do
    local at, count, hook = 0, 0, nil
    repeat
      at, count = at + 1, 0
      hook = add()
      debug.sethook(function()
        count = count + 1
        if count == at then add() end
      end, "", 1)
      call(hook)
      debug.sethook()
      hook = add()
      equal(#atfork.hooks(), 1, name .. ", instruction " .. at)
      hook:unregister()
    until count < at
  end
end)

scenario "key-let-go"
case("key/is let go of with the hook", function()
  local kept = setmetatable({}, { __mode = "k" })
  do
    local key = {}
    kept[key] = true
    atfork.register { key = key, child = print }:unregister()
  end
  collectgarbage()
  collectgarbage()
  equal(next(kept), nil, "the key")
end)

scenario "hook-fields"
case("hook/fields", function()
  local hook = atfork.register { name = "fields", priority = -7, parent = function() end }
  with(hook, function()
    equal(hook.name, "fields")
    equal(hook.priority, -7)
    assert(hook.id, "an id")
    equal(hook.nothing, nil)
    assert(tostring(hook):find("fields", 1, true), tostring(hook))
    local info = atfork.hooks()[1]
    equal(info.id, hook.id, "id")
    equal(info.name, "fields")
    equal(info.priority, -7)
    equal(info.generation, 0)
    equal(info.parent, true)
  end)
end)

scenario "hook-read-only"
case("hook/its fields cannot be set", function()
  local hook = atfork.register { name = "fields", key = "key", child = print }
  local id = hook.id
  for _, field in ipairs { "id", "name", "priority", "key", "unregister" } do
    equal(pcall(function() hook[field] = hook[field] end), false, field)
  end
  equal(hook.id, id, "id")
  equal(hook:unregister(), true, "unregister")
end)

scenario "hooks-in-order"
case("hook/hooks() is in run order", function()
  local a = atfork.register { name = "a", priority = 2, child = print }
  local b = atfork.register { name = "b", priority = 1, child = print }
  local names = {}
  for i, info in ipairs(atfork.hooks()) do names[i] = info.name end
  equal(table.concat(names), "ba")
  a:unregister()
  b:unregister()
end)

scenario "place-and-seed"
case("process/generation, lineage and seed", function()
  equal(atfork.generation(), 0)
  equal(atfork.lineage(), "0")
  equal(atfork.seed(1), atfork.seed(1), "same seed")
  assert(atfork.seed(1) ~= atfork.seed(2), "seeds of two bases")
  local mine = atfork.seed(1)
  in_child("fork", function()
    assert(atfork.lineage():match "^0%.%d+$", atfork.lineage())
    assert(atfork.seed(1) ~= mine, "seeds of two processes")
    equal(atfork.seed(1), math.type and math.tointeger(atfork.seed(1)) or math.floor(atfork.seed(1)), "an integer")
  end)
end)

scenario "seed-bases"
case("process/seeds of bases over the whole range", function()
  local last = math.maxinteger or 2 ^ 53
  local seen = {}
  for _, base in ipairs { 0, 1, -1, last - 1, last, -last } do
    local seed = atfork.seed(base)
    equal(seen[seed], nil, "the base of an equal seed")
    seen[seed] = base
  end
end)

scenario "seed-vector"
case("process/seeds are those of other languages", function()
  equal(atfork.lineage(), "0")
  -- A number of 64 bits; where Lua has none, its upper 53.
  equal(atfork.seed(42), math.type and 0xaaa155968a8f3305 or 0x15542ab2d151e6, "seed")
end)

-- 0.0 is shown as such, and is no index into a string: so each number is an integer, where Lua knows the difference.
case("process/numbers are integers", function()
  local function check(what, number)
    if math.type then equal(math.type(number), "integer", what) end
  end
  local hook = atfork.register { priority = 3.0, child = function() end }
  with(hook, function()
    local info = atfork.hooks()[1]
    check("generation()", atfork.generation())
    check("seed()", atfork.seed(1))
    check("poll()", atfork.poll())
    check("hook.id", hook.id)
    check("hook.priority", hook.priority)
    check("the id in hooks()", info.id)
    check("the priority in hooks()", info.priority)
    check("the generation in hooks()", info.generation)
    in_child("syscall", function() check("poll() in a child", atfork.poll()) end)
  end)
end)

-- What a worker says that finds the token in its environment.
local function spawn(token, script)
  return tap.says("ATFORK_TOKEN='" .. token .. "'", script)
end

scenario("token-place", "token-environment", "token-hooks-once", "token-per-process")
case("spawned/a worker takes the place of the next child", function()
  in_child("fork", function()
    local first = forktest.fork "fork"
    if first == 0 then forktest.exit(42) end
    tap.passed(first)
    local said = spawn(atfork.token(), [[
      local atfork = require "atfork"
      local ran, made, ended = 0, 0, 0
      local function finalise() ended = ended + 1 end
      local value = atfork.per_process(function()
        made = made + 1
        if not newproxy then return setmetatable({}, { __gc = finalise }) end
        local made = newproxy(true)
        getmetatable(made).__gc = finalise
        return made
      end)
      value()
      atfork.register_after_fork(function() ran = ran + 1 end)
      atfork.spawned()
      value()
      collectgarbage()
      collectgarbage()
      print(atfork.lineage(), atfork.generation(), ran, atfork.seed(7), made - ended, os.getenv "ATFORK_TOKEN")
    ]])
    local seed = said:match("^" .. atfork.lineage() .. "%.2\t2\t1\t(%S+)\t1\tnil$")
    assert(seed and seed ~= tostring(atfork.seed(7)), said)
    in_child("fork", function()
      equal(atfork.lineage():match "%d+$", "3", "the next child")
    end)
  end)
end)

scenario "token-argument"
case("spawned/by an argument", function()
  local script = 'local atfork = require "atfork" atfork.spawned(arg[1]) print(atfork.lineage(), os.getenv "ATFORK_TOKEN")'
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local worker = assert(io.popen(("'%s' '%s' '%s' 2>&1"):format(arg[-1], path, atfork.token())))
  local said = worker:read "*a"
  worker:close()
  os.remove(path)
  assert(said:match "^0%.%d+\tnil\n$", said)
end)

scenario("token-refused", "token-once")
case("spawned/errors", function()
  local said = spawn("", [[
    local atfork = require "atfork"
    print(select(2, pcall(atfork.spawned)))
    print(select(2, pcall(atfork.spawned, "x")))
    print(select(2, pcall(atfork.spawned, 3)))
    print(select(2, pcall(atfork.spawned, atfork)))
    print(atfork.generation())
    atfork.spawned(atfork.token())
    print(select(2, pcall(atfork.spawned, atfork.token())))
  ]])
  local lines = {}
  for line in said:gmatch "[^\n]+" do lines[#lines + 1] = line end
  for i, part in ipairs {
    "there is no token: ATFORK_TOKEN is not set, or was not made by atfork",
    "#1 to 'spawned' (the token was not made by atfork: 'x')",
    "#1 to 'spawned' (string expected, got number)",
    "call atfork.spawned with a dot",
    "0",
    "or has taken a place before",
  } do
    assert(lines[i] and lines[i]:find(part, 1, true), part .. " is not in " .. said)
  end
  in_child("fork", function()
    local ok, message = pcall(atfork.spawned, atfork.token())
    equal(ok, false, "spawned")
    assert(message:find("or has taken a place before", 1, true), message)
  end)
end)

scenario "version"
case("process/version", function()
  assert(atfork.version():match "^%d+%.%d+%.%d+$", atfork.version())
end)

-- What the annotations for editors declare is what there is.
scenario "declared"
case("module/annotations", function()
  local declared = dofile(os.getenv "ANNOTATIONS")
  for name in pairs(atfork) do assert(declared[name], name .. " is not declared") end
  for name in pairs(declared) do assert(atfork[name], name .. " is declared") end
end)

scenario "errors-isolated"
case("errors/are isolated and reported with a traceback", function()
  local text = tap.stderr_of(function()
    local ran = 0
    atfork.register { name = "breaks", child = function() error "a broken callback" end }
    atfork.register { name = "not a string", child = function() error({}) end }
    atfork.register_after_fork(function() ran = ran + 1 end)
    in_child("fork", function() equal(ran, 1, "the other hook") end)
  end)
  local _, count = text:gsub("a broken callback", "")
  equal(count, 1, "reports: " .. text)
  assert(text:find("error in child of hook 'breaks'", 1, true), text)
  assert(text:find("stack traceback:", 1, true), text)
  assert(text:find("scenarios.lua", 1, true), text)
  assert(text:find("hook 'not a string': table:", 1, true), text)
end)

scenario "on-error"
case("errors/go to on_error", function()
  local seen = {}
  local hook = atfork.register { name = "breaks", parent = function() error("oops", 0) end }
  atfork.on_error = function(...) seen = { ... } end
  with(hook, function() in_child("fork", function() end) end)
  atfork.on_error = nil
  equal(seen[1], "oops", "error")
  equal(seen[2], hook, "hook")
  equal(seen[3], "parent", "phase")
  assert(tostring(seen[4]):find "traceback", tostring(seen[4]))
end)

scenario "errors-in-each-phase"
case("errors/in each phase", function()
  local seen = {}
  local function fail() error("oops", 0) end
  local hook = atfork.register { prepare = fail, parent = fail, child = fail }
  atfork.on_error = function(_, _, phase) seen[#seen + 1] = phase end
  with(hook, function()
    in_child("fork", function() equal(table.concat(seen, " "), "prepare child", "in the child") end)
    equal(table.concat(seen, " "), "prepare parent", "in the parent")
  end)
  atfork.on_error = nil
end)

scenario "on-error-fails"
case("errors/an error in on_error", function()
  local text = tap.stderr_of(function()
    atfork.on_error = function() error "worse" end
    atfork.register_after_fork(function() error "bad" end)
    in_child("fork", function() end)
  end)
  assert(text:find("worse", 1, true) and text:find("bad", 1, true), text)
end)

scenario "on-error-refused"
case("errors/an on_error that cannot be called", function()
  local function set(value) atfork.on_error = value end
  set(print)
  for _, bad in ipairs { 5, "print", true, {}, setmetatable({}, {}) } do
    local ok, message = pcall(set, bad)
    equal(ok, false, type(bad))
    local expected = "bad value for 'on_error' (function or nil expected, got " .. type(bad) .. ")"
    assert(message:find(expected, 1, true) and message:find("scenarios.lua", 1, true), message)
    equal(atfork.on_error, print, "what was set before")
  end
  set(nil)
  equal(atfork.on_error, nil)
end)

case("errors/an on_error that cannot be called, set past the check", function()
  local text = tap.stderr_of(function()
    rawset(atfork, "on_error", 5)
    atfork.register_after_fork(function() error "bad" end)
    in_child("fork", function() end)
  end)
  assert(text:find("in on_error of hook '': attempt to call a number value", 1, true) and text:find("bad", 1, true), text)
end)

case("errors/an on_error that is an object", function()
  local seen
  local hook = atfork.register { name = "breaks", parent = function() error("oops", 0) end }
  atfork.on_error = setmetatable({}, { __call = function(_, err) seen = err end })
  with(hook, function() in_child("fork", function() end) end)
  atfork.on_error = nil
  equal(seen, "oops", "error")
end)

case("errors/a yield in a callback", function()
  local text = tap.stderr_of(function()
    local ran
    atfork.register_after_fork(function() coroutine.yield() end)
    atfork.register_after_fork(function() ran = true end)
    in_child("fork", function() equal(ran, true) end)
  end)
  assert(text:find("yield", 1, true), text)
end)

scenario "symbol"
case("symbol/a C-side hook counts", function()
  local hook = atfork.register_after_fork(atfork.symbol(LIBRARY, "scenario_count"))
  with(hook, function()
    local before = forktest.counted()
    in_child("fork", function() equal(forktest.counted(), before + 1) end)
    equal(forktest.counted(), before, "in the parent")
  end)
end)

scenario "symbol-mixed"
case("symbol/mixed with functions", function()
  local ran = 0
  local hook = atfork.register {
    prepare = function() ran = ran + 1 end,
    child = atfork.symbol(LIBRARY, "scenario_count"),
  }
  with(hook, function()
    local before = forktest.counted()
    in_child("fork", function()
      equal(forktest.counted(), before + 1)
      equal(ran, 1)
    end)
  end)
end)

scenario "symbol-never-waits"
case("symbol/runs while the state is busy", function()
  local count = atfork.symbol(LIBRARY, "scenario_count")
  with(atfork.register { prepare = count, parent = count }, function()
    equal(forktest.counted_by_fork(), 2, "runs, before Lua goes on")
  end)
end)

scenario "symbol-of-process"
case("symbol/of the process itself", function()
  assert(atfork.symbol(nil, "abort"))
end)

scenario "symbol-refused"
case("symbol/what is none", function()
  for _, bad in ipairs {
    { "libnothing-of-the-kind.so", "x", "libnothing-of-the-kind.so" },
    { LIBRARY, "no_such_symbol", "no_such_symbol" },
    { LIBRARY, "scenario_data", "not a function" },
    { LIBRARY, nil, "string expected" },
    { {}, "x", "string expected" },
    { LIBRARY .. "\0x", "scenario_count", "zero byte" },
    { LIBRARY, "scenario_count\0x", "zero byte" },
  } do
    local ok, message = pcall(atfork.symbol, bad[1], bad[2])
    equal(ok, false, tostring(bad[2]))
    assert(message:find(bad[3], 1, true), message)
  end
end)

scenario "bad-arguments"
case("arguments/of every wrong type", function()
  local before = #atfork.hooks()
  local f = function() end
  local bad = {
    { "register", nil, "table" },
    { "register", 3, "table" },
    { "register", f, "table" },
    { "register", {}, "prepare" },
    { "register", { name = "x" }, "at least one of" },
    { "register", { child = f, nmae = "x" }, "nmae" },
    { "register", { child = f, [1] = 2 }, "unknown field '1'" },
    { "register", { child = f, name = 3 }, "name" },
    { "register", { child = f, name = {} }, "name" },
    { "register", { child = f, name = "a\0b" }, "name" },
    { "register", { child = f, priority = "1" }, "priority" },
    { "register", { child = f, priority = 1.5 }, "priority" },
    { "register", { child = f, priority = 32768 }, "priority" },
    { "register", { child = f, priority = -32769 }, "priority" },
    { "register", { child = f, priority = 1e300 }, "priority" },
    { "register", { child = f, priority = 0 / 0 }, "priority" },
    { "register", { child = f, priority = f }, "priority" },
    { "register", { child = "f" }, "child" },
    { "register", { child = 3 }, "child" },
    { "register", { child = {} }, "child" },
    { "register", { parent = true, child = f }, "parent" },
    { "register", { prepare = io.stdout, child = f }, "prepare" },
    { "register", { prepare = coroutine.create(f) }, "prepare" },
    { "register_after_fork", nil, "function expected" },
    { "register_after_fork", 1, "function expected" },
    { "register_after_fork", "x", "function expected" },
    { "register_after_fork", {}, "function expected" },
    { "register_after_fork", io.stdout, "function expected" },
    { "seed", true, "#1 to 'seed' (number expected, got boolean)" },
    { "seed", "x", "#1 to 'seed' (number expected, got string)" },
    { "seed", {}, "number" },
    { "seed", 1.5, "#1 to 'seed' (number has no integer representation)" },
    { "per_process", 3, "function expected" },
  }
  for i = 1, 33 do
    local name, argument, part = bad[i][1], bad[i][2], bad[i][3]
    local ok, message
    if argument == nil then
      ok, message = pcall(atfork[name])
    else
      ok, message = pcall(atfork[name], argument)
    end
    equal(ok, false, ("%s, row %d"):format(name, i))
    assert(tostring(message):find(part, 1, true), ("row %d: %s"):format(i, tostring(message)))
  end
  local hook = atfork.register_after_fork(f)
  equal(pcall(hook.unregister), false, "no hook")
  equal(pcall(hook.unregister, {}), false, "a table")
  equal(pcall(hook.unregister, io.stdout), false, "a file")
  hook:unregister()
  equal(#atfork.hooks(), before, "hooks")
end)

case("arguments/the options of per_process", function()
  for options, part in pairs {
    [3] = "#2 to 'per_process' (table expected, got number)",
    [{ discrad = print }] = "#2 to 'per_process' (unknown field 'discrad')",
    [{ discard = 3 }] = "field 'discard': function expected, got number",
  } do
    local ok, message = pcall(atfork.per_process, print, options)
    equal(ok, false, part)
    assert(message:find(part, 1, true), message)
  end
end)

case("arguments/a colon for a dot, and a dot for a colon", function()
  local before = #atfork.hooks()
  local function fails(part, call, ...)
    local ok, message = pcall(call, ...)
    equal(ok, false, part)
    assert(message:find(part, 1, true), message)
  end
  local function run() end
  fails("call atfork.register with a dot", function() atfork:register { child = run } end)
  fails("call atfork.register_after_fork with a dot", function() atfork:register_after_fork(run) end)
  fails("call atfork.symbol with a dot", function() atfork:symbol(LIBRARY, "scenario_count") end)
  fails("call atfork.per_process with a dot", function() atfork:per_process(run) end)
  fails("call atfork.seed with a dot", function() atfork:seed(42) end)
  local hook = atfork.register_after_fork(run)
  with(hook, function()
    for _, bad in ipairs { 3, "x", {}, atfork, io.stdout } do
      fails("got " .. type(bad) .. ": call hook:unregister() with a colon", hook.unregister, bad)
    end
    fails("got no value: call hook:unregister() with a colon", hook.unregister)
  end)
  equal(#atfork.hooks(), before, "hooks")
end)

scenario "loaded-twice"
case("module/loaded twice", function()
  package.loaded.atfork = nil
  local again = require "atfork"
  package.loaded.atfork = atfork
  local ran = ""
  local first = atfork.register_after_fork(function() ran = ran .. "a" end)
  local second = again.register_after_fork(function() ran = ran .. "b" end)
  in_child("fork", function() equal(ran, "ab", "runs") end)
  equal(#again.hooks(), 2, "hooks")
  first:unregister()
  second:unregister()
end)

case("module/takes other fields", function()
  atfork.of_a_script = 3
  equal(rawget(atfork, "of_a_script"), 3)
  atfork.of_a_script = nil
  equal(atfork.of_a_script, nil)
end)

scenario "fork-fails"
case("failure/a fork that fails", function()
  in_child("fork", function()
    local prepared, parented, childed = 0, 0, 0
    atfork.register {
      prepare = function() prepared = prepared + 1 end,
      parent = function() parented = parented + 1 end,
      child = function() childed = childed + 1 end,
    }
    equal(forktest.forbid_forks(), 0, "forbid")
    equal(forktest.fork("fork"), -1, "fork")
    equal(prepared, 1)
    equal(parented, 1)
    equal(childed, 0)
    equal(atfork.generation(), 1)
  end)
end)

scenario "spawns-are-no-forks"
case("bypass/vfork and posix_spawn are no forks", function()
  local ran = 0
  local function run() ran = ran + 1 end
  with(atfork.register { prepare = run, parent = run, child = run }, function()
    equal(forktest.spawn(), 0)
    equal(ran, 0, "runs")
    equal(atfork.generation(), 0)
    equal(atfork.poll(), 0)
  end)
end)

scenario "fork-in-c-thread"
case("threads/a fork in another thread leaves the state alone", function()
  local prepared, parented, childed = 0, 0, 0
  local hook = atfork.register {
    prepare = function() prepared = prepared + 1 end,
    parent = function() parented = parented + 1 end,
    child = function() childed = childed + 1 end,
  }
  with(hook, function()
    for _, way in ipairs(WAYS) do equal(forktest.fork_in_thread(way), 42, way) end
    equal(prepared, 0, "prepare")
    equal(parented, 0, "its parent")
    equal(childed, 0, "child")
    in_child("fork", function() equal(childed, 1, "child") end)
    equal(prepared, 1, "prepare")
    equal(parented, 1, "parent")
  end)
end)

scenario "parent-after-c-fork"
case("threads/a parent callback of its own waits for the next call", function()
  local parented = 0
  with(atfork.register { parent = function() parented = parented + 1 end }, function()
    equal(forktest.fork_in_thread("fork"), 42)
    equal(parented, 0, "before")
    atfork.generation()
    equal(parented, 1, "after")
  end)
end)

scenario "in-coroutine"
case("coroutine/registers and forks inside one", function()
  local ran = 0
  local hook
  local thread = coroutine.wrap(function()
    hook = atfork.register_after_fork(function() ran = ran + 1 end)
    in_child("fork", function() equal(ran, 1, "inside") end)
    coroutine.yield()
    in_child("fork", function() equal(ran, 1, "inside again") end)
  end)
  thread()
  in_child("fork", function() equal(ran, 1, "outside") end)
  thread()
  equal(ran, 0)
  hook:unregister()
end)

case("sethook/the user's debug hook goes on", function()
  local lines, ran = 0, 0
  with(atfork.register_after_fork(function() ran = ran + 1 end), function()
    local user = function() lines = lines + 1 end
    debug.sethook(user, "l")
    in_child("fork", function()
      local before = lines
      equal(ran, 1)
      local hook, mask = debug.gethook()
      equal(hook, user)
      equal(mask, "l")
      assert(lines > before, "lines")
    end)
    local before = lines
    local _ = 1
    assert(lines > before, "lines in the parent")
    debug.sethook()
  end)
end)

scenario "value-once"
case("per_process/once in each process", function()
  local made = 0
  local get = atfork.per_process(function()
    made = made + 1
    return { lineage = atfork.lineage() }
  end)
  local mine = get()
  equal(get(), mine)
  equal(made, 1)
  for _, way in ipairs(WAYS) do
    in_child(way, function()
      equal(get().lineage, atfork.lineage(), "lineage")
      equal(get(), get())
      equal(made, 2)
    end)
  end
  equal(get(), mine)
end)

scenario "value-error"
case("per_process/an error is not remembered", function()
  local tries = 0
  local get = atfork.per_process(function()
    tries = tries + 1
    if tries == 1 then error "not yet" end
    return tries
  end)
  equal(pcall(get), false)
  equal(get(), 2)
  equal(get(), 2)
end)

scenario "value-nil"
case("per_process/nil and false are values", function()
  local made = 0
  local no = atfork.per_process(function()
    made = made + 1
    return false
  end)
  local none = atfork.per_process(function() made = made + 1 end)
  for _ = 1, 2 do
    equal(no(), false)
    equal(none(), nil)
  end
  equal(made, 2, "calls")
end)

scenario "value-forks"
case("per_process/the function forks", function()
  local get
  get = atfork.per_process(function()
    if atfork.generation() == 0 then
      in_child("fork", function() equal(get(), atfork.lineage(), "in the child") end)
    end
    return atfork.lineage()
  end)
  equal(get(), "0")
end)

scenario "value-asks-itself"
case("per_process/the function asks for its own value", function()
  local get
  get = atfork.per_process(function() return get() end)
  local ok, message = pcall(get)
  equal(ok, false, "get")
  assert(tostring(message):find("overflow", 1, true), message)
end)

scenario "discard-not-ones-own"
case("per_process/discard is not called for what this process made, or nobody", function()
  local discarded = 0
  local get = atfork.per_process(atfork.lineage, { discard = function() discarded = discarded + 1 end })
  in_child("fork", function()
    get()
    equal(discarded, 0, "in the child")
  end)
  get()
  get()
  equal(discarded, 0)
end)

scenario "discard-each-generation"
case("per_process/discard in each generation that asks", function()
  local trace = ""
  local get = atfork.per_process(atfork.generation, { discard = function(old) trace = trace .. old end })
  get()
  in_child("fork", function()
    in_child("fork", function()
      get()
      equal(trace, "0", "two below")
      in_child("fork", function()
        get()
        equal(trace, "02", "three below")
      end)
    end)
    get()
    equal(trace, "0", "below")
  end)
  equal(trace, "")
end)

if jit then
  local ffi = require "ffi"
  ffi.cdef [[
    int fork(void);
    void _exit(int);
    int scenario_fork(const char *);
    int scenario_wait(int);
    int scenario_counted(void);
    void scenario_count(void *);
  ]]
  local C = ffi.load(LIBRARY)

  scenario "ffi-function"
  case("jit/cdata functions as callbacks", function()
    for _, callback in ipairs { C.scenario_count, ffi.cast("void (*)(void *)", C.scenario_count) } do
      local hook = atfork.register_after_fork(callback)
      with(hook, function()
        local before = C.scenario_counted()
        in_child("fork", function() equal(C.scenario_counted(), before + 1) end)
      end)
    end
    equal(pcall(atfork.register_after_fork, ffi.new "int[3]"), false, "an array")
    equal(pcall(atfork.register_after_fork, ffi.new("uint64_t", 3)), false, "a number")
  end)

  case("jit/forks in compiled code", function()
    local ran, forks = 0, 0
    with(atfork.register_after_fork(function() ran = ran + 1 end), function()
      local function storm(times)
        local good = 0
        for _ = 1, times do
          local pid = C.scenario_fork("fork")
          if pid == 0 then ffi.C._exit(ran == 1 and 42 or 1) end
          if C.scenario_wait(pid) == 42 then good = good + 1 end
          forks = forks + 1
        end
        return good
      end
      equal(storm(500), 500)
      equal(forks, 500)
    end)
  end)
end

tap.run()

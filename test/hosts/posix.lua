-- SPDX-License-Identifier: MIT
-- A prefork server on luaposix; where there is none for a Lua, on the tests' own module.
local atfork = require "atfork"
local tap = require "tap"
local case, equal = tap.case, tap.equal

local has_posix, posix = pcall(require, "posix")
local why_not = not has_posix and posix
if not has_posix then
  local forktest = require "forktest"
  posix = {
    fork = function() return forktest.fork "fork" end,
    wait = function(pid) return pid, "exited", forktest.wait(pid) end,
    pipe = forktest.pipe,
    read = forktest.read,
    write = forktest.write,
    close = forktest.close,
    _exit = forktest.exit,
  }
end

-- A worker writes a line of what it is, and lives until it is told to end.
local function start(report)
  local out, into = posix.pipe()
  local hold, release = posix.pipe()
  local pid = assert(posix.fork())
  if pid == 0 then
    posix.close(release)
    local ok, line = pcall(report)
    posix.write(into, tostring(line) .. "\n")
    posix.read(hold, 1)
    posix._exit(ok and 0 or 1)
  end
  posix.close(into)
  posix.close(hold)
  local line = ""
  while line:sub(-1) ~= "\n" do line = line .. posix.read(out, 4096) end
  posix.close(out)
  return { pid = pid, line = line:sub(1, -2), release = release }
end

local function stop(worker)
  posix.write(worker.release, "x")
  posix.close(worker.release)
  local _, how, status = posix.wait(worker.pid)
  equal(how, "exited")
  equal(status, 0)
end

-- Debian 12 lacks it for 5.4, and later ones for 5.2 and 5.5.  Where it is, it must load.
case("posix/which module", function()
  local may_lack = _VERSION == "Lua 5.2" or _VERSION >= "Lua 5.4"
  assert(has_posix or may_lack and why_not:find("module 'posix' not found", 1, true), why_not)
end)

case("posix/a pool of workers, each with its own place, seed and connection", function()
  local ran = { prepare = 0, parent = 0, child = 0 }
  local connection = atfork.per_process(function() return "connection of " .. atfork.lineage() end)
  local mine = connection()
  local hook = atfork.register {
    prepare = function() ran.prepare = ran.prepare + 1 end,
    parent = function() ran.parent = ran.parent + 1 end,
    child = function()
      ran.child = ran.child + 1
      math.randomseed(atfork.seed(1) % 2 ^ 31)
    end,
  }
  local function report()
    equal(ran.child, 1, "child")
    equal(connection(), "connection of " .. atfork.lineage())
    return ("%s %s %d"):format(atfork.lineage(), tostring(atfork.seed(1)), math.random(2 ^ 30))
  end
  local workers, seen = {}, {}
  for i = 1, 4 do workers[i] = start(report) end
  stop(table.remove(workers, 2))
  workers[4] = start(report)
  for _, worker in ipairs(workers) do
    for word in worker.line:gmatch "%S+" do
      assert(not seen[word], worker.line)
      seen[word] = true
    end
    stop(worker)
  end
  equal(ran.prepare, 5)
  equal(ran.parent, 5)
  equal(ran.child, 0)
  equal(connection(), mine)
  hook:unregister()
end)

case("posix/a worker that forks a worker", function()
  local ran = 0
  local hook = atfork.register_after_fork(function() ran = ran + 1 end)
  local worker = start(function()
    local inner = start(function() return ("%d %d"):format(atfork.generation(), ran) end)
    stop(inner)
    return inner.line
  end)
  equal(worker.line, "2 2", "generation, and how often the hook ran")
  stop(worker)
  hook:unregister()
end)

if has_posix and posix.popen then
  case("posix/popen and spawn", function()
    local ran = 0
    local hook = atfork.register_after_fork(function() ran = ran + 1 end)
    local pipe = posix.popen(function()
      posix.write(1, ("%d %s"):format(ran, atfork.lineage()))
      return 0
    end, "r")
    local text = posix.read(pipe.fd, 100)
    assert(text:match "^1 0%.%d+$", text)
    posix.pclose(pipe)
    local status = posix.spawn { "sh", "-c", "exit 3" }
    equal(status, 3, "spawn")
    equal(ran, 0, "in the parent")
    hook:unregister()
  end)
end

-- Debian has none for some Luas.
local has_driver, driver = pcall(require, "luasql.sqlite3")
if has_driver then
  -- SQLite's locks are the process's: a child that closes the connection loses the parent its transaction.
  case("luasql/a transaction that children leave alone", function()
    local path = os.tmpname()
    local database = atfork.per_process(function()
      local environment = driver.sqlite3()
      return { environment = environment, connection = assert(environment:connect(path)) }
    end)
    local mine = database().connection
    assert(mine:execute "create table numbers (number int)")
    assert(mine:setautocommit(false))
    assert(mine:execute "insert into numbers values (1)")
    for _, asks in ipairs { false, true } do
      local pid = assert(posix.fork())
      if pid == 0 then
        local own = asks and database().connection
        collectgarbage()
        collectgarbage()
        os.exit(own == mine and 1 or 0, true)
      end
      local _, _, status = posix.wait(pid)
      equal(status, 0, "status")
    end
    assert(mine:execute "insert into numbers values (2)")
    assert(mine:commit())
    local cursor = assert(mine:execute "select count(*) from numbers")
    equal(tonumber((cursor:fetch())), 2, "rows")
    cursor:close()
    mine:close()
    os.remove(path)
  end)
end

tap.run()

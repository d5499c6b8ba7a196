-- SPDX-License-Identifier: MIT
-- Test Anything Protocol: named cases, each in its turn, and children that must pass their own checks.
local forktest = require "forktest"

local unpack = table.unpack or unpack

local tap = { cases = {} }
local PASSED = 42

-- Which rows of test/scenarios.md the next case shows, by their ids.
local shown = {}
function tap.scenario(...)
  assert(#shown == 0, "a scenario without a case")
  shown = { ... }
end

function tap.case(name, body)
  tap.cases[#tap.cases + 1] = { name = name, body = body, shows = shown }
  shown = {}
end

function tap.equal(got, wanted, what)
  if got ~= wanted then
    error(("%s: got %s, wanted %s"):format(what or "value", tostring(got), tostring(wanted)), 2)
  end
end

-- Waits for a child, which must have passed.
function tap.passed(pid)
  assert(pid > 0, "no child was made")
  tap.equal(forktest.wait(pid), PASSED, "exit status")
end

-- Forks, and runs body(...) in the child.
function tap.in_child(way, body, ...)
  local pid = forktest.fork(way)
  if pid == 0 then
    local arguments = { n = select("#", ...), ... }
    local function call() body(unpack(arguments, 1, arguments.n)) end -- 5.1's xpcall() passes nothing on
    local ok, message = xpcall(call, debug.traceback)
    if not ok then
      io.stderr:write("in a child: ", tostring(message), "\n")
      io.stderr:flush()
    end
    forktest.exit(ok and PASSED or 1)
  end
  tap.passed(pid)
end

-- What a new process of this interpreter writes, with variables like "A='x' B=1" in its environment.
function tap.says(environment, script)
  local command = ("%s '%s' -e '%s' 2>&1"):format(environment, arg[-1], script)
  local process = assert(io.popen(command))
  local said = process:read "*a"
  process:close()
  return (said:gsub("%s+$", ""))
end

-- Runs body with stderr going to a file; what it wrote.
function tap.stderr_of(body)
  local path = os.tmpname()
  local pid = forktest.fork("fork")
  if pid == 0 then
    forktest.redirect_stderr(path)
    local ok = pcall(body)
    io.stderr:flush()
    forktest.exit(ok and PASSED or 1)
  end
  tap.passed(pid)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  os.remove(path)
  return text
end

-- Of all that would run: the names for test/peers, or the scenarios' ids for test/parity.
local function list(names)
  assert(#shown == 0, "a scenario without a case")
  for _, case in ipairs(tap.cases) do
    for _, line in ipairs(names and { case.name } or case.shows) do print(line) end
  end
end

function tap.run()
  local listed = os.getenv "ATFORK_TEST_LIST"
  if listed then return list(listed == "names") end
  print("1.." .. #tap.cases)
  local failures = 0
  for number, case in ipairs(tap.cases) do
    local ok, message = xpcall(case.body, debug.traceback)
    print((ok and "ok " or "not ok ") .. number .. " - " .. case.name)
    if not ok then
      failures = failures + 1
      print("# " .. tostring(message):gsub("\n", "\n# "))
    end
    io.stdout:flush()
  end
  os.exit(failures == 0 and 0 or 1)
end

return tap

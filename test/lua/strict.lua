-- SPDX-License-Identifier: MIT
-- Where reading or setting an undefined global is an error, and where a script has taken away what it does not need.
local forktest = require "forktest"
local tap = require "tap"
local case, equal, passed = tap.case, tap.equal, tap.passed

local function copy(from)
  local to = {}
  for key, value in next, from do to[key] = value end
  return to
end

local function refuse(_, name) error("undefined global: " .. tostring(name), 2) end

local function globals_of_others() return { swig_type = 1, swig_equals = 2 } end

for name, value in pairs(globals_of_others()) do rawset(_G, name, value) end
setmetatable(_G, { __index = refuse, __newindex = refuse, __metatable = false })
local before = copy(_G)
local atfork = require "atfork"

case("strict/require reads and sets no global", function()
  for name, value in next, _G do equal(value, before[name], name) end
  for name, value in next, before do equal(rawget(_G, name), value, name) end
end)

case("strict/a host without the string library is told so", function()
  local said = tap.says("", [[package.loaded.string = nil print(select(2, pcall(require, "atfork")))]])
  equal(said, "atfork needs Lua's string library, which this host has not opened")
end)

local function shout() error "an error of a string" end
local function mumble() error { 1 } end

-- What a child writes that has none of these globals, and whose callbacks fail.
local function report_without(names, on_error)
  return tap.stderr_of(function()
    local ran
    atfork.register { name = "shouts", child = shout }
    atfork.register { name = "mumbles", child = mumble }
    atfork.register { name = "of a number", child = function() error(42, 0) end }
    atfork.register { name = "spoken", child = function()
      error(setmetatable({}, { __tostring = function() return "spoken words" end }))
    end }
    atfork.register_after_fork(function() ran = true end)
    atfork.on_error = on_error
    for _, name in ipairs(names) do rawset(_G, name, nil) end
    local pid = forktest.fork "fork"
    if pid == 0 then forktest.exit(ran and 42 or 1) end
    passed(pid)
  end)
end

case("strict/errors are reported", function()
  for _, names in ipairs { {}, { "tostring" }, { "debug" }, { "tostring", "debug", "pcall", "type", "print" } } do
    local text = report_without(names)
    local what = "without " .. table.concat(names, ", ") .. ": " .. text
    assert(text:find("hook 'shouts': .*strict.lua:%d+: an error of a string"), what)
    assert(text:find("hook 'mumbles': table: 0x", 1, true), what)
    assert(text:find("hook 'of a number': 42", 1, true), what)
    assert(text:find("hook 'spoken': spoken words", 1, true), what)
    assert(text:find("traceback:.*strict.lua:%d+: in"), what)
  end
end)

case("strict/errors are reported whatever a script puts in a function's place", function()
  local text = tap.stderr_of(function()
    debug.traceback = function() return {} end
    atfork.register { name = "dumb", child = function()
      error(setmetatable({}, { __tostring = function() return {} end }))
    end }
    atfork.register { name = "shouts", child = shout }
    local pid = forktest.fork "fork"
    if pid == 0 then forktest.exit(42) end
    passed(pid)
  end)
  assert(text:find("hook 'dumb': (an error that cannot be shown)", 1, true), text)
  assert(text:find "hook 'shouts': .*an error of a string\nstack traceback:", text)
end)

case("strict/per_process needs nothing of what a script may take away", function()
  tap.in_child("fork", function()
    local discarded = 0
    atfork.register = nil
    local value = atfork.per_process(function() return {} end, {
      discard = function() discarded = discarded + 1 end,
    })
    local inherited = value()
    tap.in_child("fork", function()
      rawset(_G, "xpcall", nil)
      local own = value()
      assert(own ~= inherited and discarded == 1)
    end)
  end)
end)

case("strict/an error in on_error is reported", function()
  local text = report_without({ "tostring", "debug" }, function() error "worse" end)
  assert(text:find("in on_error of hook 'shouts': .*worse"), text)
end)

case("strict/an argument that is no function", function()
  local tostring_of_all = tostring
  rawset(_G, "tostring", nil)
  local ok, message = pcall(atfork.register_after_fork, io.stdout)
  local also_ok, of_key = pcall(atfork.register, { child = print, [{}] = 1 })
  rawset(_G, "tostring", tostring_of_all)
  equal(ok or also_ok, false, "it is refused")
  assert(message:find("function expected, got userdata", 1, true), message)
  assert(of_key:find("unknown field 'table: 0x", 1, true), of_key)
end)

if rawget(_G, "jit") then
  case("strict/functions of the FFI", function()
    local ffi = require "ffi"
    ffi.cdef "void abort(void);"
    local tostring_of_all = tostring
    rawset(_G, "tostring", nil)
    rawset(_G, "jit", nil)
    local hook = atfork.register_after_fork(ffi.C.abort)
    rawset(_G, "tostring", tostring_of_all)
    equal(hook:unregister(), true)
  end)
end

tap.run()

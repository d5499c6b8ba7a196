-- SPDX-License-Identifier: MIT
-- The functions that scripts call: they check arguments, and report errors of callbacks.  `native` has functions in C
-- (native.c).  Functions of Lua's own are stored when the module is loaded, as a script may remove them later.
local atfork, native, loaded, Hook, Symbol = ...
local base = loaded._G
local error, getmetatable, next, pcall, rawget = base.error, base.getmetatable, base.next, base.pcall, base.rawget
local rawset, setmetatable, tostring, type = base.rawset, base.setmetatable, base.tostring, base.type
local xpcall = base.xpcall
if not loaded.string then error("atfork needs Lua's string library, which this host has not opened", 0) end
local find, format = loaded.string.find, loaded.string.format
local debug = loaded.debug or {}

-- Raises an error about an argument, at the place where a script has called the public function.
local function bad(argument, name, text, level)
  error(format("bad argument #%d to '%s' (%s)", argument, name, text), level or 3)
end

local function expected(what, value) return what .. " expected, got " .. type(value) end

-- Returns the results of a function in C. An error is reported at the place where a script has called us, so callers
-- must not use a tail call.
local function called(call, ...)
  local ok, result = pcall(call, ...)
  if not ok then error(result, 3) end
  return result
end

-- The fault of a first argument that is the module: the script has written a colon for a dot.
local function colon(name, value)
  if value == atfork then return "the module itself: call atfork." .. name .. " with a dot, not with a colon" end
end

local function unknown_field(options, known)
  for field in next, options do
    if not known[field] then return format("unknown field '%s'", tostring(field)) end
  end
end

-- ---- Errors in callbacks ----

-- Not every Lua checks that __tostring returns a string.
local function describe(err)
  local ok, text = pcall(tostring, err)
  return ok and type(text) == "string" and text or "(an error that cannot be shown)"
end

local function complain(err, where, hook, traceback)
  local of = hook and format(" of hook '%s'", hook.name) or ""
  native.complain("atfork: error in " .. where .. of .. ": " .. describe(err) .. traceback .. "\n")
end

local traceback_of = debug.traceback

-- The error handler of callbacks.
local function failure_of(err) return { err, traceback_of and traceback_of("", 2) or "" } end

local PHASES = { "prepare", "parent", "child", discard = "discard" }

-- The result of the handler; it is no table if there was no memory for one.
local function report(hook, of_phase, failure)
  local phase = PHASES[of_phase]
  local err, traceback = failure, ""
  if type(failure) == "table" then
    err, traceback = failure[1], failure[2]
  end
  local on_error = atfork.on_error
  if on_error ~= nil then
    local ok, worse = pcall(on_error, err, hook, phase, traceback)
    if ok then return end
    complain(worse, "on_error", hook, "")
  end
  complain(err, phase, hook, traceback)
end

local function may_be_called(value)
  if type(value) == "function" then return true end
  local meta = (debug.getmetatable or getmetatable)(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

-- on_error is not stored in the table, so each assignment calls this.
local aside = {}
setmetatable(atfork, {
  __index = aside,
  __metatable = "protected",
  __newindex = function(module, name, value)
    if name ~= "on_error" then
      rawset(module, name, value)
      return
    end
    if value ~= nil and not may_be_called(value) then
      error("bad value for 'on_error' (" .. expected("function or nil", value) .. ")", 2)
    end
    aside.on_error = value
  end,
})

-- ---- C functions ----

-- LuaJIT's: "cdata<void (*)()>: 0x…" is a pointer to a function, "cdata<void ()>: 0x…" a function.
local function is_c_function(value)
  if type(value) ~= "cdata" then return false end
  local shown = tostring(value)
  return find(shown, "^cdata<") and (find(shown, "(*)(", 1, true) or find(shown, " ()", 1, true))
end

-- A Lua function, or the object for a C function; otherwise nil and the fault.
local function callback_of(value)
  if type(value) == "function" or native.is_symbol(value) then return value end
  if is_c_function(value) then return native.symbol_of_cdata(value) end
  return nil, expected("function", value)
end

-- An FFI object has an address, or is one.
local function pointer_of(data)
  if type(data) ~= "cdata" then return data end
  local ok, pointer = pcall(loaded.ffi.cast, "void *", data)
  if ok then return pointer end
  return nil, pointer
end

local function text_fault(value)
  if type(value) ~= "string" then return expected("string", value) end
  return find(value, "\0", 1, true) and "contains a zero byte"
end

function atfork.symbol(library, name, data)
  local fault = colon("symbol", library) or library ~= nil and text_fault(library)
  if fault then bad(1, "symbol", fault) end
  fault = text_fault(name)
  if fault then bad(2, "symbol", fault) end
  local pointer, no_pointer = pointer_of(data)
  if no_pointer then bad(3, "symbol", no_pointer) end
  return (called(native.symbol, library, name, pointer, data))
end

Symbol.__metatable = "protected"

-- ---- Hooks ----

local FIELDS = { name = true, priority = true, key = true, prepare = true, parent = true, child = true }
local PRIORITY_MIN, PRIORITY_MAX = -32768, 32767

local hooks_of_keys = {}

-- Needs no memory: what has been unregistered must not raise an error.
local function of_definition(hook, field)
  local definition = native.definition(hook)
  return definition and definition[field]
end

local function unregister(...)
  local taken, kind = native.unregister(hooks_of_keys, ...)
  if taken == nil then
    bad(1, "unregister", "a hook expected, got " .. kind .. ": call hook:unregister() with a colon")
  end
  return taken
end

local fields = {
  unregister = function() return unregister end,
  id = native.id,
  priority = native.priority,
  name = function(hook) return of_definition(hook, "name") or "" end,
  key = function(hook) return of_definition(hook, "key") end,
}

function Hook.__index(hook, name)
  local field = fields[name]
  return field and field(hook)
end

function Hook.__tostring(hook)
  return format("atfork.hook '%s' (priority %d, id %s)", hook.name, hook.priority, native.id(hook, true))
end

Hook.__close, Hook.__metatable = unregister, "protected"

local function name_fault(name)
  if type(name) ~= "string" then return "field 'name': " .. expected("string", name) end
  return find(name, "\0", 1, true) and "field 'name' contains a zero byte"
end

local function priority_fault(priority)
  if type(priority) ~= "number" then return "field 'priority': " .. expected("integer", priority) end
  if priority >= PRIORITY_MIN and priority <= PRIORITY_MAX and priority % 1 == 0 then return nil end
  return format("field 'priority': an integer from %d to %d expected", PRIORITY_MIN, PRIORITY_MAX)
end

local function definition_fault(definition)
  if type(definition) ~= "table" then return expected("table", definition) end
  local name, priority, key = definition.name, definition.priority, definition.key
  return unknown_field(definition, FIELDS)
    or name ~= nil and name_fault(name)
    or priority ~= nil and priority_fault(priority)
    or key ~= key and "field 'key': NaN equals nothing"
end

local function callbacks_of(definition)
  local callbacks = {}
  for i = 1, 3 do
    local phase = PHASES[i]
    local value, fault = definition[phase], nil
    if value ~= nil then
      callbacks[i], fault = callback_of(value)
      if fault then return nil, format("field '%s': %s", phase, fault) end
    end
  end
  if next(callbacks) then return callbacks end
  return nil, "at least one of 'prepare', 'parent' and 'child' is required"
end

function atfork.register(definition)
  local callbacks
  local fault = colon("register", definition) or definition_fault(definition)
  if not fault then
    callbacks, fault = callbacks_of(definition)
  end
  if fault then bad(1, "register", fault) end
  local name, key = definition.name, definition.key
  local kept = (name ~= nil or key ~= nil) and { name = name, key = key } or nil
  return (native.add(callbacks[3], callbacks[2], callbacks[1], name, definition.priority, kept, hooks_of_keys, key))
end
local register = atfork.register

-- native.register_after_fork() calls this if its argument is no Lua function.
local function register_after_fork(value)
  local fault, callback = colon("register_after_fork", value), nil
  if not fault then
    callback, fault = callback_of(value)
  end
  if fault then bad(1, "register_after_fork", fault, 4) end
  return native.add(callback)
end

-- ---- Places in the tree ----

local seed, seed_bytes, spawned, adopt = atfork.seed, atfork.seed_bytes, atfork.spawned, atfork.adopt
local child_token, run = atfork.child_token, atfork.run
local launcher, is_to_be_warned = atfork.launcher, atfork.place_is_to_be_warned_of
atfork.launcher, atfork.place_is_to_be_warned_of = nil, nil

local GUESS = "atfork: this process does not know its place in the tree of processes, as atfork was loaded after the fork: "
  .. "its seeds may be those of other processes.  Load atfork before the fork, or call atfork.adopt() with this worker's "
  .. "number"

-- Not by warn(), which is silent until a script has turned it on.
local function warn_of_a_guess()
  if is_to_be_warned() then native.complain(GUESS .. "\n") end
end

function atfork.seed(number)
  local fault = colon("seed", number)
  if fault then bad(1, "seed", fault) end
  warn_of_a_guess()
  return (called(seed, number == nil and run() or number))
end

local SEED_BYTES_MAX = 8192

local function integer_fault(value, least, most)
  if type(value) ~= "number" then return expected("number", value) end
  if value % 1 == 0 and value >= least and value <= most then return nil end
  return format("an integer from %d to %.0f expected", least, most)
end

function atfork.seed_bytes(number, size)
  local fault = colon("seed_bytes", number)
  if fault then bad(1, "seed_bytes", fault) end
  fault = integer_fault(size, 0, SEED_BYTES_MAX)
  if fault then bad(2, "seed_bytes", fault) end
  warn_of_a_guess()
  return (called(seed_bytes, number == nil and run() or number, size))
end

function atfork.child_token(token, number)
  local fault = colon("child_token", token) or text_fault(token)
  if fault then bad(1, "child_token", fault) end
  fault = integer_fault(number, 1, 2 ^ 53)
  if fault then bad(2, "child_token", fault) end
  local child = called(child_token, token, number)
  if not child then bad(1, "child_token", "the token was not made by atfork: '" .. token .. "'") end
  return child
end

-- Whether the next child callback of per_process comes from taking a place, not from a fork.
local takes_place, watches_children = false, false

local function take_place(take, ...)
  takes_place = watches_children
  local why = take(...)
  takes_place = false
  return why
end

local function known_already(name)
  error(name .. "(): this process was forked by a process that had atfork, or has taken a place before", 3)
end

function atfork.spawned(token)
  local fault = colon("spawned", token) or token ~= nil and text_fault(token)
  if fault then bad(1, "spawned", fault) end
  local why = take_place(spawned, token)
  if why == "EALREADY" then known_already("spawned") end
  if why and token then bad(1, "spawned", "the token was not made by atfork: '" .. token .. "'") end
  if why then error("there is no token: ATFORK_TOKEN is not set, or was not made by atfork", 2) end
end

-- A rank as text: it may be given as a number.
local function rank_of(rank)
  if rank == nil then return nil end
  if type(rank) == "string" then return rank, text_fault(rank) end
  local fault = integer_fault(rank, 0, 2 ^ 53)
  return not fault and format("%.0f", rank), fault
end

function atfork.adopt(rank)
  local text, fault = rank_of(rank)
  fault = colon("adopt", rank) or fault
  if fault then bad(1, "adopt", fault) end
  local why = take_place(adopt, text)
  if why == "EALREADY" then known_already("adopt") end
  if why and text then bad(1, "adopt", "rank must be a decimal number below 2^64 without leading zeros, not '" .. text .. "'") end
  if why == "ENOENT" then error("no launcher has numbered this process: give its rank", 2) end
  if why then error("launchers give different ranks, or no number: " .. launcher(), 2) end
end

-- ---- Values of a process ----

-- A cell is {generation that made it, value}. `watched` has the cells that are alive; `kept` has those of other
-- processes, for good.
local watched, kept = setmetatable({}, { __mode = "k" }), {}
local generation = native.generation
local GENERATION, VALUE = 1, 2

-- The user value number i of a userdata.  Lua 5.1 has an environment instead, which is usually the library's.
local user_value = base._VERSION ~= "Lua 5.1" and debug.getuservalue or function() end

-- Calls visit() with a value that may have a finaliser, and with all values that it has in tables and user values.
local function reach(value, visit)
  local seen, list, count = { [base] = true }, { value }, 1 -- globals and modules are no value's own
  for _, module in next, loaded do seen[module] = true end
  local function add(reached)
    count = count + 1
    list[count] = reached
  end
  while count > 0 do
    local reached = list[count]
    list[count] = nil
    count = count - 1
    local kind = type(reached)
    if (kind == "table" or kind == "userdata" or kind == "cdata") and not seen[reached] then
      seen[reached] = true
      if kind == "table" then
        for key, field in next, reached do
          add(key)
          add(field)
        end
      elseif kind == "userdata" then
        local number, field, is_there = 0, nil, nil
        repeat
          number = number + 1
          field, is_there = user_value(reached, number)
          add(field)
        until not is_there
      end
      visit(reached, kind)
    end
  end
end

-- When a state is closed, LuaJIT finalises cdata before all other objects.  A cdata works without its finaliser, so it
-- is removed now.
local function disarm_cdata(value, kind)
  if kind == "cdata" and loaded.ffi then pcall(loaded.ffi.gc, value, nil) end
end

-- All others must keep working until then, so their metatables are removed only when the state is closed.
local function disarm(value, kind)
  disarm_cdata(value, kind)
  if kind ~= "cdata" then native.take_finaliser(value) end
end

local function each_inherited(cells, call)
  local now = generation()
  for cell in next, cells do
    if cell[GENERATION] ~= now then call(cell) end
  end
end

local function keep(cell)
  kept[cell] = true
  reach(cell[VALUE], disarm_cdata)
end

-- A guard is finalised before all older objects.  The latest guard is finalised when the state is closed.
local guard
local function renew_guard()
  local this = {}
  guard = this
  this.object = native.finalised(function()
    if guard ~= this then return end
    for _, cells in next, { watched, kept } do
      each_inherited(cells, function(cell) reach(cell[VALUE], disarm) end)
    end
  end)
end

-- While lua_close() finalises, LuaJIT may leave compiled code to collect garbage, and return to it, for ever.
if loaded.jit then
  for _, runs_there in next, { reach, disarm_cdata, disarm, each_inherited, renew_guard } do
    loaded.jit.off(runs_there, true)
  end
end

local function own(made_in, value)
  local cell = { made_in, value }
  watched[cell] = true
  renew_guard()
  return cell
end

-- Also called in spawned() and adopt().  There no fork has made this process, so it made the existing values itself.  A
-- callback there may fork; in its child this is called for a fork again.
local function on_child()
  if takes_place then
    takes_place = false
    for cell in next, watched do cell[GENERATION] = nil end
    return
  end
  each_inherited(watched, keep)
  renew_guard()
end

local function leave(cell, discard)
  if cell[GENERATION] == nil then return end
  if not discard then
    keep(cell)
    return
  end
  kept[cell], watched[cell] = nil, nil
  local ok, failure = xpcall(function() discard(cell[VALUE]) end, failure_of)
  if not ok then report(nil, "discard", failure) end
end

local function discard_fault(options)
  if type(options) ~= "table" then return expected("table", options) end
  local fault = unknown_field(options, { discard = true })
  if fault or options.discard == nil or type(options.discard) == "function" then return fault end
  return "field 'discard': " .. expected("function", options.discard)
end

function atfork.per_process(make, options)
  local fault = colon("per_process", make) or type(make) ~= "function" and expected("function", make)
  if fault then bad(1, "per_process", fault) end
  fault = options ~= nil and discard_fault(options)
  if fault then bad(2, "per_process", fault) end
  if not watches_children then
    register { name = "per_process", priority = PRIORITY_MIN, child = on_child }
    watches_children = true
  end
  local discard = options and options.discard
  local cell = {}
  return function()
    local now = generation()
    if cell[GENERATION] ~= now then
      local inherited = cell
      cell = {} -- replaced first: if two coroutines ask, the later one overwrites it
      leave(inherited, discard)
      cell = own(now, make())
    end
    return cell[VALUE]
  end
end

atfork.hooks, atfork.prepared = native.hooks, native.prepared

if loaded.package then loaded.package.preload["atfork.random"] = native.open_random end

return failure_of, report, register_after_fork

-- SPDX-License-Identifier: MIT
-- What nginx serves in the soak: who answers, and which hooks have run there; and the work that a path names.
-- `require "workload"` gives a function of the probe's path; without one it is a server without the library.
local ffi = require "ffi"

local SPACE = 8 * 2^20 -- bytes

-- Given back at once; the buffer that LuaJIT makes its strings in shrinks by half in each collection.
local function space()
  local size = #(("\0"):rep(SPACE):gsub("%z", "\1", 1))
  for _ = 1, 20 do collectgarbage() end
  return size
end

local function without()
  return function(path)
    if path == "/space" then space() end
    return ('{"pid": %d}'):format(ngx.worker.pid())
  end
end

local function with(path_of_probe)
  local atfork = require "atfork"
  ffi.cdef [[
    int getpid(void);
    int probe_register(void);
    const char *probe_describe(void);
    const char *probe_churn(void);
    const char *probe_plugin(void);
    const char *probe_exhaust(void);
    int probe_fork(void);
    void probe_reply(const char *text);
    const char *probe_hear(void);
  ]]
  local probe = ffi.load(path_of_probe)
  local order, drawn, made = { pid = 0, text = "" }, { pid = 0, text = "" }, { pid = 0, times = 0 }

  local function note(letter)
    local pid = ffi.C.getpid()
    if order.pid ~= pid then order.pid, order.text = pid, "" end
    order.text = order.text .. letter
  end

  atfork.register { name = "script 1", child = function() note "1" end }
  atfork.register {
    name = "script 2",
    priority = 5,
    prepare = function() end,
    child = function()
      note "2"
      local random = require("atfork.random").new(atfork.run())
      drawn.pid = ffi.C.getpid()
      drawn.text = ("%.0f%.0f"):format(random(2 ^ 31), random(2 ^ 31))
    end,
  }
  local connection = atfork.per_process(function()
    local pid = ffi.C.getpid()
    if made.pid ~= pid then made.pid, made.times = pid, 0 end
    made.times = made.times + 1
    return { owner = pid }
  end)
  if probe.probe_register() ~= 0 then error "no memory" end

  local function describe(more)
    local pid = ffi.C.getpid()
    local owner = connection().owner
    local form = '{"pid": %d, "c": %s, "order": "%s", "lineage": "%s", "generation": %d, "random": "%s", '
      .. '"connection": [%d, %d]%s}'
    return form:format(pid, ffi.string(probe.probe_describe()), order.pid == pid and order.text or "", atfork.lineage(),
      atfork.generation(), drawn.pid == pid and drawn.text or "", owner, made.times, more)
  end

  -- What a child says of itself.
  local function fork()
    if probe.probe_fork() == 0 then
      local _, text = pcall(describe, "") -- whatever comes, the child ends here
      probe.probe_reply(text)
    end
    return ', "child": ' .. ffi.string(probe.probe_hear())
  end
  jit.off(fork) -- out of compiled code the callbacks would wait

  -- Hundreds of hooks of the script's, of which each is let go.
  local function registered()
    local hooks, wrong = {}, ""
    for number = 1, 300 do hooks[number] = atfork.register { priority = number % 7, child = function() end } end
    for number = 1, 300 do
      if not hooks[number]:unregister() then wrong = "error: a hook was gone already" end
    end
    collectgarbage()
    return wrong
  end

  return function(path)
    if path == "/" then return describe "" end
    if path == "/fork" then return describe(fork()) end
    if path == "/space" then
      space()
      return describe ""
    end
    local wrong = path == "/scripted" and registered() or ffi.string(probe["probe_" .. path:sub(2)]())
    return describe((', "wrong": "%s"'):format(wrong))
  end
end

return function(path_of_probe)
  return path_of_probe and with(path_of_probe) or without()
end

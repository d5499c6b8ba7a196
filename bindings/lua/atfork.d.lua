---@meta atfork
-- SPDX-License-Identifier: MIT
-- What editors read of the module atfork (LuaLS, EmmyLua); nothing loads it.

---@class atfork
local atfork = {}

---A C function, as `atfork.symbol` gives it; LuaJIT's cdata functions and pointers to functions serve as well.
---@class atfork.Symbol

---@alias atfork.Callback fun()|atfork.Symbol|ffi.cdata*

---What to register: at least one callback.
---@class atfork.Definition
---@field name? string for people, and for `atfork.hooks`
---@field priority? integer -32768 to 32767; 0 if not given
---@field key? any replaces the hook that was registered with an equal key
---@field prepare? atfork.Callback before the fork, in the reverse order
---@field parent? atfork.Callback after it, in the forking process
---@field child? atfork.Callback after it, in the new process

---A registered hook.  It stays registered when this object is collected.
---@class atfork.Hook
---@field id integer|string digits where Lua has no integers of 64 bits
---@field name string
---@field priority integer
---@field key any
local Hook = {}

---Takes the hook back.  What `<close>` does, too.
---@return boolean taken false if that was done before
function Hook:unregister() end

---What `atfork.hooks` shows of a hook, of whatever language.
---@class atfork.Info
---@field id integer|string
---@field name string
---@field priority integer
---@field generation integer of the process that registered it
---@field prepare boolean whether it has one
---@field parent boolean
---@field child boolean

---Gets errors of callbacks, if it is set; otherwise they go to stderr with their traceback.
---`phase` is "prepare", "parent", "child", or "discard", for which there is no hook.
---@type nil|fun(err: any, hook: atfork.Hook?, phase: string, traceback: string)
atfork.on_error = nil

---Runs `fn()` once in each new process.
---@param fn atfork.Callback
---@return atfork.Hook
function atfork.register_after_fork(fn) end

---Registers up to three callbacks.
---@param definition atfork.Definition
---@return atfork.Hook
function atfork.register(definition) end

---A C function `void f(void *)`, which is called inside fork(), and waits for no Lua.  Its library stays loaded.
---@param library string|nil as dlopen(3) takes it; nil is the process itself
---@param name string
---@param data? integer|userdata|lightuserdata|ffi.cdata* the pointer that it is called with; an object is kept
---@return atfork.Symbol
function atfork.symbol(library, name, data) end

---How many forks deep this process is.
---@return integer
function atfork.generation() end

---Which child of which child this process is: "0", "0.1", "0.2.1".
---@return string
function atfork.lineage() end

---A seed for this process, the same from run to run: 64 bits where Lua has them, else 53.  Without a base: of this run.
---@param base? integer|string
---@return integer
function atfork.seed(base) end

---As many bytes of seed as a generator needs, of which 256 bits depend on base and process.  Without a base: of this run.
---@param base integer|string|nil
---@param size integer 0 to 8192
---@return string
function atfork.seed_bytes(base, size) end

---Names this run of the whole tree of processes: the same in all of them, and another each time.
---@return integer|string run digits where Lua has no integers of 64 bits
function atfork.run() end

---How this process has come to its place in the tree; "unknown" is a guess.
---@return "root"|"forked"|"spawned"|"adopted"|"unknown"
function atfork.place() end

---In a worker that its launcher has numbered: takes the place of that number, and runs the child callbacks.
---@param rank? integer|string if it is not given, what the launcher has put into the environment
function atfork.adopt(rank) end

---Names the next worker that this process spawns, for its `spawned`.
---@return string
function atfork.token() end

---The token of the n-th child of the process that a token names.
---@param token string
---@param number integer from 1
---@return string
function atfork.child_token(token, number) end

---In a worker that was spawned: takes its place in the tree, and runs the child callbacks registered so far.
---@param token? string from `atfork.token`; if it is not given, the environment variable ATFORK_TOKEN
function atfork.spawned(token) end

---Runs the child callbacks that this process missed, as it was made by a fork that told nobody.
---@return integer count how many ran
function atfork.poll() end

---In a `parent` or `child` callback: whether this hook's own `prepare` ran for this fork, and returned.
---@return boolean
function atfork.prepared() end

---All hooks of the process, in run order.
---@return atfork.Info[]
function atfork.hooks() end

---A function that returns the value (the first, if there are more) that `fn()` returned when it was first called in this process.
---A child leaves its parent's value alone, unless there is a `discard`.
---@generic T
---@param fn fun(): T
---@param options? { discard?: fun(value: T) } called once in a child, before it makes a value of its own
---@return fun(): T
function atfork.per_process(fn, options) end

---The library's version: "0.1.0".
---@return string
function atfork.version() end

return atfork

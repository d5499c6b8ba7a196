---@meta atfork
-- SPDX-License-Identifier: MIT
-- Types and documentation of the module atfork for editors (LuaLS, EmmyLua); nothing loads this file.

---@class atfork
local atfork = {}

---A C function, from `atfork.symbol`. LuaJIT's cdata functions and pointers to functions can be used instead.
---@class atfork.Symbol

---@alias atfork.Callback fun()|atfork.Symbol|ffi.cdata*

---What to register: at least one callback.
---@class atfork.Definition
---@field name? string for people, and for `atfork.hooks`
---@field priority? integer -32768 to 32767; 0 if not given
---@field key? any replaces the hook that was registered with an equal key
---@field prepare? atfork.Callback called before the fork, in the reverse order
---@field parent? atfork.Callback called after the fork, in the forking process
---@field child? atfork.Callback called after the fork, in the new process

---A registered hook.  The hook stays registered if this object is collected.
---@class atfork.Hook
---@field id integer|string a string of digits if Lua has no integers of 64 bits
---@field name string
---@field priority integer
---@field key any
local Hook = {}

---Unregisters the hook.  `<close>` does the same.
---@return boolean taken false if the hook was unregistered before
function Hook:unregister() end

---A hook of any language, as `atfork.hooks` shows it.
---@class atfork.Info
---@field id integer|string
---@field name string
---@field priority integer
---@field generation integer of the process that registered it
---@field prepare boolean whether it has this callback
---@field parent boolean
---@field child boolean

---Called with each error of a callback, if it is set.  Otherwise errors are written to stderr with their traceback.
---`phase` is "prepare", "parent", "child" or "discard".  In "discard" there is no hook.
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

---A C function `void f(void *)`.  It is called directly inside fork(), without entering Lua.  Its library stays loaded.
---@param library string|nil as for dlopen(3); nil: the process itself
---@param name string
---@param data? integer|userdata|lightuserdata|ffi.cdata* the pointer that it is called with; an object is kept alive
---@return atfork.Symbol
function atfork.symbol(library, name, data) end

---How many forks deep this process is.
---@return integer
function atfork.generation() end

---Which child of which child this process is: "0", "0.1", "0.2.1".
---@return string
function atfork.lineage() end

---A seed for this process, the same from run to run: 64 bits if Lua has them, otherwise 53.  Without a base it differs
---from run to run.
---@param base? integer|string
---@return integer
function atfork.seed(base) end

---As many bytes of seed as a generator needs; 256 bits of them depend on base and process.  If the base is nil, they
---differ from run to run.
---@param base integer|string|nil
---@param size integer 0 to 8192
---@return string
function atfork.seed_bytes(base, size) end

---A number for this run of the whole tree of processes: the same in all processes, and another one in each run.
---@return integer|string run a string of digits if Lua has no integers of 64 bits
function atfork.run() end

---How this process has got its place in the tree; "unknown": its lineage is a guess.
---@return "root"|"forked"|"spawned"|"adopted"|"unknown"
function atfork.place() end

---In a worker that its launcher has numbered: takes the place with this number, and runs the child callbacks.
---@param rank? integer|string if it is not given, the number in the launcher's environment variables
function atfork.adopt(rank) end

---A token for the next worker that this process spawns, which passes it to `spawned`.
---@return string
function atfork.token() end

---The token for the n-th child of the process that another token is for.
---@param token string
---@param number integer from 1
---@return string
function atfork.child_token(token, number) end

---In a worker that was spawned: takes its place in the tree, and runs the child callbacks registered so far.
---@param token? string from `atfork.token`; if it is not given, the environment variable ATFORK_TOKEN is used
function atfork.spawned(token) end

---Runs the child callbacks that this process missed, because it was made by a fork that runs no handlers.
---@return integer count how many ran
function atfork.poll() end

---In a `parent` or `child` callback: whether this hook's own `prepare` ran for this fork, and returned.
---@return boolean
function atfork.prepared() end

---All hooks of the process, in run order.
---@return atfork.Info[]
function atfork.hooks() end

---A function that returns one value for each process: the (first) value that `fn()` returned at the first call in it.
---A child does not close or finalise its parent's value, unless there is a `discard`.
---@generic T
---@param fn fun(): T
---@param options? { discard?: fun(value: T) } called once in a child with the parent's value, before the child makes its own
---@return fun(): T
function atfork.per_process(fn, options) end

---The library's version: "0.1.0".
---@return string
function atfork.version() end

return atfork

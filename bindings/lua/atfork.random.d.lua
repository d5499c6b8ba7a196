---@meta atfork.random
-- SPDX-License-Identifier: MIT
-- Types and documentation of the module atfork.random for editors; nothing loads this file.

---Random numbers for this process, called like math.random.  Each process, and each run, has another sequence.
---@class atfork.random
---@overload fun(): number
---@overload fun(high: integer): integer
---@overload fun(low: integer, high: integer): integer
local random = {}

---A function like math.random.  Its sequence in a process follows from the base, and is the same from run to run.
---@param base? integer|string as for `atfork.seed`
---@return fun(low?: integer, high?: integer): number
function random.new(base) end

---Seeds math.random in this process.
---@param base? integer|string as for `atfork.seed`
function random.reseed(base) end

return random

---@meta atfork.random
-- SPDX-License-Identifier: MIT
-- What editors read of the module atfork.random; nothing loads it.

---Random numbers of this process's own: called as math.random.  Another sequence in each process, and in each run.
---@class atfork.random
---@overload fun(): number
---@overload fun(high: integer): integer
---@overload fun(low: integer, high: integer): integer
local random = {}

---A function as math.random, whose sequence in a process follows from the base: the same from run to run.
---@param base? integer|string as for `atfork.seed`
---@return fun(low?: integer, high?: integer): number
function random.new(base) end

---Seeds math.random in this process.
---@param base? integer|string as for `atfork.seed`
function random.reseed(base) end

return random

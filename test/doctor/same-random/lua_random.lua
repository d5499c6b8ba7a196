-- SPDX-License-Identifier: MIT
-- After swoole/swoole-src#1229: math.random() of Lua 5.3 is random() of the C library, which nobody seeds anew.
-- finds: same-random
-- needs: lua-posix
local unistd = require("posix.unistd")
local wait = require("posix.sys.wait").wait

math.randomseed(os.time())
local child = unistd.fork()
if child == 0 then
  print("child", math.random(1000000))
  io.stdout:flush()
  unistd._exit(0)
end
wait(child)
print("parent", math.random(1000000))

-- SPDX-License-Identifier: MIT
-- After semgrep/pfff#390: what io.write() has not flushed comes out of both processes.
-- finds: double-output
-- needs: lua-posix
local unistd = require("posix.unistd")
local wait = require("posix.sys.wait").wait

io.write("before the fork\n")
local child = unistd.fork()
if child == 0 then
  io.write("child\n")
  io.stdout:flush()
  unistd._exit(0)
end
wait(child)
io.write("parent\n")

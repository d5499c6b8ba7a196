-- SPDX-License-Identifier: MIT
-- After Perl/perl5#3545: workers in Lua, which answer by pipes of their own.
-- finds: nothing
-- needs: lua-posix
local unistd = require("posix.unistd")
local wait = require("posix.sys.wait").wait

for number = 1, 2 do
  local reader, writer = unistd.pipe()
  local child = unistd.fork()
  if child == 0 then
    unistd.close(reader)
    unistd.write(writer, "worker " .. number)
    unistd._exit(0)
  end
  unistd.close(writer)
  print(unistd.read(reader, 50))
  io.stdout:flush()
  unistd.close(reader)
  wait(child)
end

-- SPDX-License-Identifier: MIT
-- After Perl/perl5#7749: the child removes the file that its parent has open still.
-- finds: deleted-file
-- needs: lua-posix
local unistd = require("posix.unistd")
local wait = require("posix.sys.wait").wait

local name = os.tmpname()
local file = io.open(name, "w")
file:setvbuf("no")
file:write("job\n")
local child = unistd.fork()
if child == 0 then
  os.remove(name)
  unistd._exit(0)
end
wait(child)
file:write("result\n")
file:close()

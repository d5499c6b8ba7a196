-- SPDX-License-Identifier: MIT
-- After Perl/perl5#3545: two processes read a pipe of text, and each misses what the other has taken.
-- finds: shared-descriptor
-- needs: lua-posix
local unistd = require("posix.unistd")
local wait = require("posix.sys.wait").wait

local reader, writer = unistd.pipe()
unistd.write(writer, "first line\nsecond line\n")
local child = unistd.fork()
if child == 0 then
  unistd.read(reader, 5)
  unistd._exit(0)
end
wait(child)
unistd.read(reader, 50)

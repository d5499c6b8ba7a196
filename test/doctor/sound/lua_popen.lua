-- SPDX-License-Identifier: MIT
-- After Perl/perl5#7749: Lua runs other programs by its own library.
-- finds: nothing
local f = io.popen("echo hello")
print(f:read("a"))
f:close()
os.execute("true")

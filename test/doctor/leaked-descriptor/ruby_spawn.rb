# SPDX-License-Identifier: MIT
# After tenzir/tenzir#3998: Ruby opens all with O_CLOEXEC, and hands down what spawn() is told.
# finds: nothing
require "socket"

listener = TCPServer.new("127.0.0.1", 0)
reader, writer = IO.pipe
system("/bin/true")
Process.wait(spawn("echo ready", out: writer))
reader.gets
puts `echo done`
listener.close

# SPDX-License-Identifier: MIT
# After QueueClassic/queue_classic#218: a forked worker asks on its parent's connection to a server.
# finds: shared-descriptor
require "socket"

listener = TCPServer.new("127.0.0.1", 0)
server = fork do
  client = listener.accept
  while (line = client.gets)
    client.puts(line)
  end
  exit!(0)
end
connection = TCPSocket.new("127.0.0.1", listener.addr[1])
ask = lambda do
  connection.puts("question")
  connection.gets
end
ask.call
child = fork do
  ask.call
  exit!(0)
end
Process.wait(child)
ask.call
connection.close
Process.wait(server)

# SPDX-License-Identifier: MIT
# After puma/puma#664: workers accept from one socket, and each opens its own connection to elsewhere.
# finds: nothing
require "socket"

listener = TCPServer.new("127.0.0.1", 0)
workers = Array.new(2) do
  fork do
    client = listener.accept
    client.puts("hello")
    client.close
    exit!(0)
  end
end
workers.each do
  connection = TCPSocket.new("127.0.0.1", listener.addr[1])
  connection.gets
  connection.close
end
workers.each { |worker| Process.wait(worker) }

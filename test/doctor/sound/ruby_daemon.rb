# SPDX-License-Identifier: MIT
# After puma/puma#457: a daemon of Ruby's, which tells by a pipe that it is there.
# finds: nothing
reader, writer = IO.pipe
child = fork do
  reader.close
  Process.daemon(true, true)
  writer.puts("daemon")
  writer.close
  exit!(0)
end
Process.wait(child)
writer.close
puts reader.read

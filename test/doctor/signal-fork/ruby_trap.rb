# SPDX-License-Identifier: MIT
# After r-lib/processx#330: Ruby runs its traps in a thread, and not in a signal handler.
# finds: nothing
done = IO.pipe
trap("USR1") do
  Process.wait(fork { exit!(0) })
  done[1].write(".")
end
Process.kill("USR1", Process.pid)
done[0].read(1)

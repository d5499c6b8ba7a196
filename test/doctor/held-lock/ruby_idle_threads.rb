# SPDX-License-Identifier: MIT
# After puma/puma#457: threads of the parent sleep, wait for work, or hold a Mutex, which Ruby gives free in the child.
# finds: nothing
jobs = Queue.new
mutex = Mutex.new
worker = Thread.new { jobs.pop }
held, leave = IO.pipe, IO.pipe
holder = Thread.new do
  mutex.synchronize do
    held[1].write(".")
    leave[0].read(1)
  end
end
held[0].read(1)
child = fork do
  mutex.synchronize { puts "child" }
  $stdout.flush
  exit!(0)
end
Process.wait(child)
leave[1].write(".")
jobs << :done
[worker, holder].each(&:join)

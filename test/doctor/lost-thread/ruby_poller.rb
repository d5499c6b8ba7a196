# SPDX-License-Identifier: MIT
# After configcat/ruby-sdk#38: a thread that refreshes a cache is not there in the worker.
# finds: note lost-thread
leave = Queue.new
poller = Thread.new { leave.pop }
poller.name = "poller"
child = fork do
  puts "worker without a poller"
  $stdout.flush
  exit!(0)
end
Process.wait(child)
leave << true
poller.join

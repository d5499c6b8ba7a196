# SPDX-License-Identifier: MIT
# After cassandra-rb/simple_uuid#2: Ruby seeds its generator anew in the child.
# finds: nothing
require "securerandom"

rand
child = fork do
  puts "child #{rand} #{SecureRandom.uuid}"
  $stdout.flush
  exit!(0)
end
Process.wait(child)
puts "parent #{rand} #{SecureRandom.uuid}"

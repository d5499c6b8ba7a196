# SPDX-License-Identifier: MIT
# After puma/puma#664: Ruby talks with another program, and with a copy of itself.
# finds: nothing
IO.popen(["cat"], "r+") do |cat|
  cat.puts "hello"
  cat.close_write
  puts cat.read
end
IO.popen("-") { |child| child ? puts(child.read) : print("from the child") }

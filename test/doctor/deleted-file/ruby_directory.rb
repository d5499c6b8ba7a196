# SPDX-License-Identifier: MIT
# After roo-rb/roo#585: a temporary directory is removed in the child, and again in the parent.
# finds: deleted-file
require "tmpdir"

begin
  Dir.mktmpdir("doctor-") do |directory|
    child = fork
    if child
      Process.wait(child)
      puts Dir.exist?(directory) ? "is there" : "is gone"
    end
  end
rescue Errno::ENOENT
  puts "and cannot be removed"
end

# SPDX-License-Identifier: MIT
# After ruby/tempfile#34: Ruby's temporary files are deleted only by the process that has made them.
# finds: nothing
require "tempfile"

file = Tempfile.new("doctor-")
child = fork do
  file = nil
  GC.start
  exit(0)
end
Process.wait(child)
puts File.exist?(file.path) ? "is there" : "is gone"

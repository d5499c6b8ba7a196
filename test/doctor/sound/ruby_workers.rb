# SPDX-License-Identifier: MIT
# After Shopify/pitchfork#142: workers report by pipes, and one forks again.
# finds: nothing
reports = Array.new(2) do |number|
  reader, writer = IO.pipe
  fork do
    reader.close
    Process.wait(fork { exit!(0) })
    writer.puts("worker #{number}")
    writer.close
    exit!(0)
  end
  writer.close
  reader
end
reports.each { |reader| puts reader.read }
Process.waitall

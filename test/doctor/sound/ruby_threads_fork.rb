# SPDX-License-Identifier: MIT
# After Shopify/app_profiler#148: three threads of Ruby's fork at the same time.
# finds: nothing
threads = Array.new(3) { Thread.new { Process.wait(fork { exit!(0) }) } }
threads.each(&:join)

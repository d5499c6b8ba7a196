# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Read by Puma's master, in each mode: what is registered here, every worker inherits.
mode = ENV.fetch("WORKLOAD_MODE")
samples = File.read(File.join(__dir__, "../../../doc/guide/server.md")).scan(/^```rb\n(.*?)^```$/m).flatten
require_relative "workload" unless %w[late adopt].include?(mode)

bind "tcp://127.0.0.1:0"
rackup File.join(__dir__, "app.ru")
environment "production"
workers 4
threads 1, 2
raise_exception_on_sigterm false
worker_shutdown_timeout 10 # In Ruby 3.3 a worker may never end: it waits in the close of a pipe, with no hooks, too.
case mode
when "preload_app" then preload_app!
when "phased_restart" then preload_app! false # since Puma 7, true is the default of a cluster
when "fork_worker" then fork_worker
when "late" then preload_app! false
when "adopt"
  preload_app! false
  on_worker_boot { require_relative "workload" }
  instance_eval(samples.fetch(0))
when "restart"
  preload_app!
  instance_eval(samples.fetch(1))
end

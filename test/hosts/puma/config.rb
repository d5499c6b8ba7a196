# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Read by Puma's master, in each mode: what is registered here, every worker inherits.
require_relative "workload"

bind "tcp://127.0.0.1:0"
rackup File.join(__dir__, "app.ru")
environment "production"
workers 4
threads 1, 2
raise_exception_on_sigterm false
worker_shutdown_timeout 10 # In Ruby 3.3 a worker may never end: it waits in the close of a pipe, with no hooks, too.
case ENV.fetch("WORKLOAD_MODE")
when "preload_app" then preload_app!
when "phased_restart" then preload_app! false # since Puma 7, true is the default of a cluster
when "fork_worker" then fork_worker
end

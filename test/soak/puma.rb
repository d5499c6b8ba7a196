# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Puma's configuration, which its master reads: what is registered here every worker inherits.
if ENV.key?("SOAK_PROBE")
  require "atfork"
  AtFork.spawned if ENV.key?("ATFORK_TOKEN")
  on_restart { ENV["ATFORK_TOKEN"] = AtFork.token }
end
require_relative "workload"

bind "tcp://127.0.0.1:#{ENV.fetch("SOAK_PORT")}"
rackup File.join(__dir__, "config.ru")
environment "production"
workers 2
threads 1, 1
raise_exception_on_sigterm false
worker_shutdown_timeout 10 # In Ruby 3.3 a worker may never end: it waits in the close of a pipe, with no hooks, too.
if ENV["SOAK_MODE"] == "fork_worker"
  fork_worker 0 # not by itself after so many requests
else
  preload_app! false # since Puma 7, true is the default of a cluster; a phased restart is for this alone
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# unicorn's configuration.  The master loads the application, and so the hooks, before it forks.
listen "127.0.0.1:#{ENV.fetch("SOAK_PORT")}"
worker_processes 2
preload_app true
pid File.join(Dir.pwd, "pid")
if ENV.key?("SOAK_PROBE")
  require "atfork"
  AtFork.spawned if ENV.key?("ATFORK_TOKEN")
  before_exec { |_server| ENV["ATFORK_TOKEN"] = AtFork.token }
end

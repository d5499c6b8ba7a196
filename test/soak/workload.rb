# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# What Puma and unicorn serve in the soak: who answers, and which hooks have run there; and the work that a path names.
#
# Without SOAK_PROBE in the environment it is a server without the library.
require "json"

# Called for each request.
module Workload
  SPACE = 8 << 20 # bytes

  def self.describe
    { pid: Process.pid }
  end

  # Given back at once: the collector does not see how much that is.
  def self.space
    text = "\0" * SPACE
    text.tr!("\0", "\1")
    text.clear
  end

  def self.work(path)
    space if path == "/space"
    {}
  end

  def self.call(env)
    done = work(env["PATH_INFO"])
    [200, { "content-type" => "application/json" }, [JSON.generate(describe.merge(done))]]
  end
end

require_relative "workload_hooks" if ENV.key?("SOAK_PROBE")

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

# A worker (worker.h): worker.rb KIND HOOKS FORKS, KIND being atfork, fork_tracker, or in_c for hooks that C registers.
# Answers with ns: for a child hook, to register one, and for a child hook that is a C function.
KIND = ARGV[0]
HOOKS = Integer(ARGV[1])
FORKS = Integer(ARGV[2])

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_second) * 1e9
end

# From fork to the child's first own instruction.
def fork_ns
  reader, writer = IO.pipe
  start = now
  pid = fork do
    writer.write([now].pack("d"))
    writer.close
    exit!(0)
  end
  writer.close
  started = reader.read.unpack1("d")
  reader.close
  Process.wait(pid)
  started - start
end

# What else the machine does can only add to it.
def least_fork
  Array.new(FORKS) { fork_ns }.min
end

# C functions take so little that it takes more of them to be seen beside what forks vary by.
C_HOOKS = 10 * HOOKS

# What registering so many of them, and running them in a child, takes for each.
def dispatch(register, unregister, count = HOOKS)
  GC.start
  start = now
  registered = Array.new(count) { |i| register.call(i) }
  registering = now - start
  full = least_fork
  unregister.call(registered)
  empty = least_fork
  [(full - empty) / count, registering / count]
end

def atfork
  require "atfork"
  c_function = AtFork.symbol(ENV.fetch("BENCH_LIBRARY"), "bench_nothing")
  unregister = ->(hooks) { hooks.each(&:unregister) }
  child, register = dispatch(->(i) { AtFork.register_after_fork { i } }, unregister)
  c_child, = dispatch(->(_) { AtFork.register_after_fork(c_function) }, unregister, C_HOOKS)
  [child, register, c_child]
end

# Its own way to take a callback back searches for it, which would take longer than all the rest.
def fork_tracker
  require "active_support"
  tracker = ActiveSupport::ForkTracker
  callbacks = tracker.instance_variable_get(:@callbacks)
  child, register = dispatch(->(i) { tracker.after_fork { i } }, ->(_) { callbacks.clear })
  [child, register, Float::NAN]
end

# In this process, whose forks take what a Ruby's take.
def in_c
  require "atfork"
  require "fiddle"
  word = Fiddle::TYPE_LONG_LONG
  core = Fiddle.dlopen(nil)
  function = lambda do |name, arguments, result|
    Fiddle::Function.new(core[name], arguments, result)
  end
  register = function.call("atfork_register_after_fork", [Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP], word)
  unregister = function.call("atfork_unregister", [word], Fiddle::TYPE_INT)
  nothing = AtFork.symbol(ENV.fetch("BENCH_LIBRARY"), "bench_nothing").to_i
  c_child, = dispatch(->(_) { register.call(nothing, nil) }, ->(ids) { ids.each { |id| unregister.call(id) } }, C_HOOKS)
  [Float::NAN, Float::NAN, c_child]
end

while $stdin.gets == "go\n"
  puts __send__(KIND).join(" ")
  $stdout.flush
end

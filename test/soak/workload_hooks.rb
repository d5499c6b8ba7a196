# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# The same with the library.
require "atfork"
require "fiddle"

module Workload
  PROBE = Fiddle.dlopen(ENV.fetch("SOAK_PROBE"))

  # Holds the GVL: other threads do not see that there is no memory.
  def self.function(name, type)
    Fiddle::Function.new(PROBE["probe_#{name}"], [], type, need_gvl: true)
  end

  FUNCTIONS = %w[describe churn plugin exhaust].to_h { |name| [name, function(name, Fiddle::TYPE_VOIDP)] }
  ORDER = {} # which hooks ran, by process
  DRAWN = {}
  MADE = []

  CONNECTION = AtFork.per_process do
    MADE << Process.pid
    Process.pid
  end

  def self.note(letter)
    ORDER[Process.pid] = ORDER.fetch(Process.pid, "") + letter
  end

  AtFork.register(name: "script 1", child: lambda {
    ORDER.keep_if { |pid, _| pid == Process.pid } # a master's map would grow with each generation
    DRAWN.clear
    note("1")
  })
  AtFork.register(name: "script 2", priority: 5, prepare: -> {}, child: lambda {
    note("2")
    DRAWN[Process.pid] = Random.new(AtFork.seed(bits: 128)).rand(2**64).to_s
  })

  raise NoMemoryError, "probe_register" unless function("register", Fiddle::TYPE_INT).call.zero?

  def self.describe
    owner = CONNECTION.value
    { pid: Process.pid, c: JSON.parse(FUNCTIONS["describe"].call.to_s), order: ORDER.fetch(Process.pid, ""),
      lineage: AtFork.lineage, generation: AtFork.generation, random: DRAWN.fetch(Process.pid, ""),
      connection: [owner, MADE.count(Process.pid)] }
  end

  # What a child says of itself.
  def self.forked
    reader, writer = IO.pipe
    pid = fork do
      reader.close
      writer.write(JSON.generate(describe))
      writer.close
    ensure
      exit!(0) # where the parent was told to end, too
    end
    writer.close
    text = reader.read
    reader.close
    Process.wait(pid)
    JSON.parse(text)
  end

  # Hundreds of hooks of the script's, of which each is let go.
  def self.registered
    hooks = Array.new(300) { |number| AtFork.register(priority: number % 7, child: -> {}) }
    good = hooks.map(&:unregister)
    GC.start
    good.all? ? "" : "error: a hook was gone already"
  end

  WORK = {
    "/" => -> { {} },
    "/space" => lambda {
      space
      {}
    },
    "/fork" => -> { { child: forked } },
    "/scripted" => -> { { wrong: registered } }
  }.freeze

  def self.work(path)
    WORK.fetch(path) { -> { { wrong: FUNCTIONS.fetch(path[1..]).call.to_s } } }.call
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Fault injection: each method is called once for each request that the extension or the library makes of the system, in a
# process in which that request is refused; and again with all later ones refused, too.
#
# Ruby's own allocations are not refused: for want of memory Ruby may end the process, whoever asked.
require "fiddle"
require "monitor"

PASSED = 42
PASSED_ALL = 43 # there was no such request any more
AND_ALL_LATER = (2**31) - 1

# ATFORK_TEST_TORTURE=K: 2, ..., K requests in a row, too.
THOROUGH = ENV.fetch("ATFORK_TEST_TORTURE", "1").to_i

# The functions of fault.h, in the shared object that Ruby loads as atfork/native.
module Fault
  HANDLE = Fiddle.dlopen(ENV.fetch("TORTURE_MODULE"))

  def self.function(name, arguments, result)
    called = Fiddle::Function.new(HANDLE["fault_#{name}"], arguments, result, need_gvl: true)
    define_singleton_method(name) { |*values| called.call(*values) }
  end

  function :arm, [Fiddle::TYPE_INT, Fiddle::TYPE_INT], Fiddle::TYPE_VOID
  function :disarm, [], Fiddle::TYPE_INT
  function :blocks, [], Fiddle::TYPE_LONG
end

FORK = Fiddle::Function.new(Fiddle.dlopen(ENV.fetch("SCENARIO_LIBRARY"))["scenario_fork"], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)

# Hooks that are to run in each fork, whatever else happens.
module Base
  RUNS = Hash.new(0)
  PHASES = %i[prepare parent child].freeze

  class << self
    attr_accessor :hooks

    def add
      require "atfork"
      (-1..1).each do |priority|
        AtFork.register(name: "base #{priority}", priority: priority, **PHASES.to_h { |phase| [phase, -> { RUNS[phase] += 1 }] })
      end
      self.hooks = AtFork.hooks.size
    end

    # Nothing is lost, and nothing is there twice.
    def expect_unharmed
      equal(AtFork.hooks.size, hooks, "hooks")
      RUNS.clear
      in_child do
        equal(RUNS, { prepare: 3, child: 3 }, "runs in the child")
        equal(AtFork.hooks.size, hooks, "hooks in the child")
        equal(AtFork.poll, 0, "what was left to run")
      end
      equal(RUNS, { prepare: 3, parent: 3 }, "runs in the parent")
    end
  end
end

def equal(got, wanted, what)
  raise "#{what}: got #{got.inspect}, wanted #{wanted.inspect}" unless got == wanted
end

# Ends this child, by what the block gives.
def end_child(what)
  status = 1
  status = yield
rescue Exception => error # rubocop:disable Lint/RescueException
  warn "# #{what}: #{error.full_message(highlight: false)}"
ensure
  $stderr.flush
  exit!(status)
end

def wait_for(pid)
  Process.wait2(pid)[1].exitstatus
end

def in_child(&body)
  pid = fork { end_child("in a child") { body.call.then { PASSED } } }
  equal(wait_for(pid), PASSED, "exit status")
end

# One call, and what is true around it.
class Scenario
  ALL = {} # rubocop:disable Style/MutableConstant

  # `undo` takes a call back, so that it can be made again; `adds` is how many hooks it adds; so many requests it makes
  # at `least`.
  def initialize(name, undo: nil, adds: 0, least: 0, arrange: nil, check: nil, &call)
    @call, @undo, @adds, @least, @arrange, @check = call, undo, adds, least, arrange, check
    ALL[name] = self
  end

  def run
    [AND_ALL_LATER, *1..THOROUGH].each { |many| take_turns(many) }
  end

  private

  def take_turns(many)
    first = 0
    loop do
      first += 1
      pid = fork { end_child("request #{first}, and #{many - 1}") { take_turn(first, many) } }
      status = wait_for(pid)
      next if status == PASSED

      equal(status, PASSED_ALL, "exit status where request #{first} is refused")
      break
    end
    raise "it makes too few requests: #{first - 1}" if first <= @least
  end

  def take_turn(first, many)
    Base.add
    @arrange&.call
    result, requests = call_with_faults(first, many)
    if result.is_a?(NoMemoryError)
      Base.expect_unharmed
      result = @call.call
    end
    expect_done(result)
    expect_no_leak(first, many) if @undo
    requests >= first ? PASSED : PASSED_ALL
  end

  def expect_done(result)
    Base.hooks += @adds
    Base.expect_unharmed
    @check&.call(result)
    return unless @undo

    @undo.call(result)
    Base.hooks -= @adds
  end

  # What it returned, or the error; and how many requests it made.
  def call_with_faults(first, many)
    Fault.arm(first, many)
    result = begin
      @call.call
    rescue NoMemoryError => e
      e
    end
    [result, Fault.disarm]
  end

  # The collector takes what the stack seems to refer to for live.
  def expect_no_leak(first, many)
    seeming = 10
    held = Array.new(3) do
      60.times do
        result, = call_with_faults(first, many)
        @undo.call(result) unless result.is_a?(NoMemoryError)
      end
      GC.start
      Fault.blocks
    end
    raise "the extension holds #{held[2]} blocks, and held #{held[1]}" if held[2] > held[1] + seeming

    Base.expect_unharmed
  end
end

def scenario(name, **options, &call)
  Scenario.new(name, **options, &call)
end

nothing = -> {}
unregister = ->(hook) { equal(hook.unregister, true, "unregister") }

# ---- Registering ----

registered = { undo: unregister, adds: 1, least: 1 }
scenario("register_after_fork", **registered) { AtFork.register_after_fork(&nothing) }
scenario("register", **registered) do
  AtFork.register(name: "n", prepare: nothing, parent: nothing, child: nothing)
end
scenario("register at another priority", **registered) { AtFork.register(priority: 32_767, child: nothing) }
scenario("register with a new key", **registered) { AtFork.register(key: :new, child: nothing) }
scenario("register a C function", **registered) do
  AtFork.register(parent: nothing, child: AtFork.symbol(nil, "free", 0))
end
owner = Object.new
scenario("register with an owner", **registered) { AtFork.register(owner: owner, child: nothing) }
scenario("register_lock with a Mutex", **registered) { AtFork.register_lock(Mutex.new) }
scenario("register_lock with a Monitor", **registered) { AtFork.register_lock(Monitor.new, priority: 7) }

replaced = 0
replace = -> { AtFork.register(key: :known, child: -> { replaced += 1 }) }
add_known = lambda do
  replace.call
  Base.hooks += 1
end
expect_replaced = lambda do |hook|
  in_child { equal(replaced, 1, "runs of the one with the key") }
  unregister.call(hook)
  equal(AtFork.hooks.size, Base.hooks - 1, "hooks")
end
scenario("register with a known key", arrange: add_known, check: expect_replaced, least: 1, &replace)

registered_before = nil
add_one = lambda do
  registered_before = AtFork.register(name: "n", key: :k, child: nothing)
  Base.hooks += 1
end
scenario("unregister", arrange: add_one, adds: -1) { equal(registered_before.unregister, true, "unregister") }
scenario("a hook's fields", arrange: add_one, undo: ->(_) {}) do
  hook = registered_before
  equal([hook.name, hook.key, hook.priority, hook.id > 0, hook.inspect.empty?], ["n", :k, 0, true, false], "fields")
end

# ---- Calls that register nothing ----

def value(name, least: 0, &call)
  scenario(name, undo: ->(_) {}, least: least, &call)
end

value("generation") { AtFork.generation }
value("lineage") { AtFork.lineage }
value("place") { AtFork.place }
value("run") { AtFork.run }
value("seed") { AtFork.seed + AtFork.seed(7) + AtFork.seed(7, bits: 1000) }
value("seed_bytes") { AtFork.seed_bytes(7, 64) }
value("token") { AtFork.token }
value("child_token") { AtFork.child_token(AtFork.token, 7) }
value("poll") { AtFork.poll }
value("symbol") { AtFork.symbol(nil, "free") }
value("hooks", least: 1) { equal(AtFork.hooks.last.name, "base 1", "the last hook's name") }
value("on_error") { AtFork.on_error = AtFork.on_error }

def refused
  yield
rescue RuntimeError => e
  e
else
  raise TypeError, "it succeeded"
end

# A forked process has its place.
value("spawned") { refused { AtFork.spawned(AtFork.token) } }
value("adopt") { refused { AtFork.adopt(3) } }

# ---- A value of each process ----

makes = 0
make = -> { makes += 1 }
expect_own = lambda do |value|
  before = makes
  in_child { equal(value.value, before + 1, "the child's value") }
  equal(value.value, before, "the parent's value")
end
scenario("per_process", check: expect_own) do
  AtFork.per_process(discard: ->(_) {}, &make).tap { |value| equal(value.value, makes, "value") }
end

# ---- Forks ----

asked = []
ask = lambda do
  AtFork.register(prepare: nothing, parent: -> { asked << AtFork.prepared }, child: -> { asked << AtFork.prepared })
  Base.hooks += 1
end
scenario("fork", undo: ->(_) {}, arrange: ask) do
  asked.clear
  Base::RUNS.clear
  pid = fork do
    Fault.disarm
    end_child("in a fork") do
      equal([Base::RUNS, asked], [{ prepare: 3, child: 3 }, [true]], "runs, and whether it was prepared")
      PASSED
    end
  end
  equal([wait_for(pid), asked], [PASSED, [true]], "exit status, and whether it was prepared")
end

# Where there is no memory to run what was missed, the next poll runs it.
scenario("poll after a bypassing fork") do
  Base::RUNS.clear
  pid = FORK.call("syscall")
  if pid.zero?
    end_child("in a bypassing fork") do
      begin
        AtFork.poll
      rescue NoMemoryError
        nil
      end
      Fault.disarm
      AtFork.poll
      equal(Base::RUNS[:child], 3, "runs in the child")
      PASSED
    end
  end
  equal(wait_for(pid), PASSED, "exit status")
end

# ---- All of them ----

def failure_of(what)
  what.call
  nil
rescue StandardError => e
  e.full_message(highlight: false)
end

# A method that no scenario calls would be left out.
def expect_all_methods
  require "atfork"
  text = File.read(__FILE__)
  left_out = AtFork.singleton_methods(false).reject { |name| text.match?(/AtFork\.#{name.to_s.delete_suffix("=")}\b/) }
  equal(left_out, [], "methods without a scenario")
end

cases = { **Scenario::ALL.transform_values { |each| each.method(:run) }, "each method has one" => method(:expect_all_methods) }
puts "1..#{cases.size}"
failures = cases.each_with_index.count do |(name, run), number|
  failure = failure_of(run)
  puts failure.gsub(/^/, "# ") if failure
  puts "#{failure ? "not ok" : "ok"} #{number + 1} - #{name}"
  $stdout.flush
  failure
end
exit(failures.zero?)

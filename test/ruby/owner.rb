# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# A hook that is unregistered when its owner is collected.
require "json"

class TestOwner < ForkTest
  # An object that puts itself right, by a callback of each kind.
  class Client
    attr_reader :trace

    def initialize(trace, kind)
      @trace = trace
      callback = { block: -> { reset }, method: method(:reset), own: ->(*) { trace << self } }.fetch(kind)
      AtFork.register(name: "client", owner: self, prepare: callback, parent: callback, child: callback)
    end

    def reset
      @trace << :reset
    end
  end

  def clients
    AtFork.hooks.count { |info| info.name == "client" }
  end

  # On a stack of its own, so that the collector finds nothing of it on this one.
  def make_and_drop(kind)
    Thread.new { Client.new([], kind) && nil }.join
  end

  def collect
    Thread.new { 1000.times { Object.new } }.join
    3.times { GC.start }
  end

  %i[block method own].each do |kind|
    scenario "owner-collected"
    define_method("test_goes_when_it_is_collected_with_a_#{kind}") do
      make_and_drop(kind)
      assert_equal 1, clients
      collect
      assert_equal 0, clients
      in_child {}
    end

    # The table of a fork, which is kept for the next, does not keep it.
    define_method("test_goes_after_a_fork_with_a_#{kind}") do
      make_and_drop(kind)
      Thread.new { passed(fork { Scenario.exit(PASSED) }) }.join
      collect
      assert_equal 0, clients
    end
  end

  # As a timeout does, at any point.
  def test_an_exception_while_it_is_registered_is_raised
    interrupts = TracePoint.new(:call) { |call| raise Interrupt if call.method_id == :stand_in }
    assert_raises(Interrupt) { interrupts.enable { AtFork.register(owner: Object.new, child: -> {}) } }
    assert_equal @before.size, AtFork.hooks.size
  end

  scenario "owner-alive"
  def test_stays_while_it_lives
    trace = []
    client = Client.new(trace, :method)
    collect
    in_child { assert_equal %i[reset reset], trace }
    assert_equal %i[reset reset], client.trace
  end

  scenario "owner-in-child"
  def test_goes_in_a_child
    make_and_drop(:block)
    in_child do
      assert_equal 1, clients
      collect
      assert_equal 0, clients
      in_child {}
    end
  end

  # A finalizer that unregisters would wait for that fork, and that fork for the lock.
  scenario "owner-never-waits"
  def test_its_end_waits_for_no_fork
    trace = []
    lock = Thread::Mutex.new
    waiting = Thread::Queue.new
    start = Thread::Queue.new
    # Before there is a client, whose traces its stack would have if it were a later one.
    forker = Thread.new { start.pop && fork { Scenario.exit(PASSED) } }
    Thread.new { Client.new(trace, :method) && nil }.join
    AtFork.register(prepare: -> { waiting << true && lock.synchronize {} })
    lock.lock
    start << true
    waiting.pop
    collect
    assert_equal 0, clients
    lock.unlock
    passed(forker.value)
    assert_empty trace
  end

  scenario "owner-of-c-function"
  def test_a_c_function_goes_with_it
    before = Scenario.counted
    Thread.new do
      AtFork.register(name: "client", owner: Object.new, child: AtFork.symbol(Scenario::LIBRARY, "scenario_count")) && nil
    end.join
    in_child { assert_equal before + 1, Scenario.counted }
    collect
    assert_equal 0, clients
    in_child { assert_equal before, Scenario.counted }
  end

  scenario "owner-unregistered"
  def test_unregistered_before
    owner = Object.new
    hook = AtFork.register(name: "client", owner: owner, child: -> { flunk })
    assert hook.unregister
    refute hook.unregister
    in_child {}
    owner = nil
    collect
    refute owner
  end

  # Many in the life of one object.
  def test_rounds_leave_nothing
    owner = Object.new
    round = ->(i) { AtFork.register(owner: owner, key: i, child: -> {}).unregister }
    1000.times(&round)
    GC.start
    before = ObjectSpace.count_objects.values_at(:T_DATA, :T_OBJECT).sum
    20_000.times(&round)
    collect
    assert_operator ObjectSpace.count_objects.values_at(:T_DATA, :T_OBJECT).sum - before, :<, 20
  end

  def test_two_hooks_of_one_object
    ran = []
    owner = Object.new
    first = AtFork.register(owner: owner, child: -> { ran << 1 })
    AtFork.register(owner: owner, child: -> { ran << 2 })
    in_child { assert_equal [1, 2], ran }
    first.unregister
    in_child { assert_equal [2], ran }
  end

  # A copy is another object.
  def test_a_copy_owns_nothing
    ran = []
    owner = Object.new
    AtFork.register(owner: owner, child: -> { ran << :owner })
    copy = owner.dup
    Thread.new { AtFork.register(name: "client", owner: copy, child: -> { ran << :copy }) && nil }.join
    in_child { assert_equal %i[owner copy], ran }
    copy = nil
    collect
    refute copy
    in_child { assert_equal %i[owner], ran }
  end

  def test_the_object_looks_as_before
    owner = Struct.new(:name).new("x")
    TestOwner.const_set(:Named, owner.class) unless TestOwner.const_defined?(:Named)
    before = [owner.inspect, owner.to_json, owner.instance_variables]
    AtFork.register(owner: owner, child: -> { owner })
    assert_equal before, [owner.inspect, owner.to_json, owner.instance_variables]
    assert_equal owner, Marshal.load(Marshal.dump(owner)) # rubocop:disable Security/MarshalLoad
  end

  def test_what_cannot_be_collected
    before = AtFork.hooks
    [3, :symbol, true].each { |owner| assert_raises(ArgumentError) { AtFork.register(owner: owner, child: -> {}) } }
    assert_raises(FrozenError) { AtFork.register(owner: Object.new.freeze, child: -> {}) }
    assert_equal before, AtFork.hooks
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

# A hook that replaces the one with its key.

# A key: all have the same hash, and `act` is called when a key is compared, but not while it runs.
Compared = Struct.new(:value) do
  class << self
    attr_accessor :act

    def while_comparing(act)
      self.act = act
      yield
    ensure
      self.act = nil
    end
  end

  def hash = 1

  def eql?(other)
    act = Compared.act
    Compared.act = nil
    act&.call
    Compared.act = act
    other.is_a?(Compared) && value == other.value
  end
end

class TestKey < ForkTest
  # A configuration file, as a server reads it at each reload.
  CONFIGURATION = <<~RUBY
    AtFork.register(key: "config.rb", child: -> { ran << %d })
  RUBY

  def reload(ran, number)
    eval(format(CONFIGURATION, number), binding, "config.rb", 1)
  end

  scenario "key-read-again"
  def test_a_configuration_that_is_read_again
    ran = []
    4.times do |number|
      hook = reload(ran, number)
      assert_equal "config.rb", hook.key
      in_child { assert_equal [number], ran }
    end
    in_child { reload(ran, 9) && in_child { assert_equal [3, 9], ran } }
    assert_equal 1, AtFork.hooks.size - @before.size
  end

  scenario "key-equality"
  def test_any_value_that_is_equal
    [[:a, [1, "b"]], [{ a: 1 }, "text", 3], [1.5, Struct.new(:a).new(2)], [nil.to_a, :symbol]].each do |keys|
      2.times { keys.each { |key| AtFork.register(key: Marshal.load(Marshal.dump(key)), child: -> {}) } unless keys[1].is_a?(Struct) }
    end
    assert_equal 7, AtFork.hooks.size - @before.size
  end

  def test_none_replaces_nothing
    hooks = Array.new(2) { AtFork.register(child: -> {}) }
    assert_equal [nil, nil], hooks.map(&:key)
    assert_equal 2, AtFork.hooks.size - @before.size
  end

  scenario "key-replaces"
  def test_the_replaced_one_is_unregistered
    first = AtFork.register(key: :k, child: -> { flunk })
    second = AtFork.register(key: :k, priority: 5, child: -> {})
    refute first.unregister
    assert second.unregister
    third = AtFork.register(key: :k, child: -> {})
    refute second.unregister
    assert third.unregister
    in_child {}
  end

  # The core copies the name, for which there is no room.
  def test_it_stays_where_the_next_cannot_be_registered
    skip "AddressSanitizer needs more memory than there is" if ENV.key?("ASAN_OPTIONS")
    first = AtFork.register(key: :k, child: -> {})
    in_child do
      name = "x" * (64 << 20)
      mapped = File.read("/proc/self/statm").to_i * 4096
      Process.setrlimit(:AS, mapped + (16 << 20), Process.getrlimit(:AS)[1])
      assert_raises(NoMemoryError) { AtFork.register(name: name, key: :k, child: -> {}) }
      assert first.unregister
    end
    assert first.unregister
  end

  scenario "key-let-go"
  def test_is_let_go_of_with_the_hook
    weak = ObjectSpace::WeakMap.new
    Thread.new { AtFork.register(key: Object.new.tap { |key| weak[key] = true }, child: -> {}).unregister }.join
    5.times { GC.start }
    assert_equal 0, weak.size
  end

  # Arguments are looked at before anything changes.
  scenario "key-kept-by-bad-call"
  def test_a_bad_one_replaces_nothing
    hook = AtFork.register(key: :k, child: -> {})
    assert_raises(TypeError) { AtFork.register(key: :k, child: 3) }
    assert hook.unregister
  end

  # Nor does it leave a hook that nobody can take back.
  def test_one_that_cannot_be_compared_registers_nothing
    no_hash = Class.new { def hash = raise(ArgumentError) }
    no_equal = Class.new(Struct.new(:number)) { def eql?(_other) = raise(ArgumentError) }
    first = AtFork.register(key: no_equal.new(1), child: -> {})
    [no_hash.new, no_equal.new(1)].product([nil, Object.new]).each do |key, owner|
      before = AtFork.hooks.size
      assert_raises(ArgumentError) { AtFork.register(key: key, owner: owner, child: -> {}) }
      assert_equal before, AtFork.hooks.size
    end
    assert first.unregister
  end

  # The comparison may be any Ruby code: a trap or a finalizer may run in it, or another thread.
  scenario "key-compared-anew"
  def test_a_comparison_that_registers_leaves_one
    (1..5).to_a.product(%w[replaced new]).each do |times, value|
      first = AtFork.register(key: Compared.new("replaced"), name: "replaced", child: -> {})
      register = -> { AtFork.register(key: Compared.new(value), name: value, child: -> {}) if (times -= 1) >= 0 }
      last = Compared.while_comparing(register) { AtFork.register(key: Compared.new(value), name: value, child: -> {}) }
      assert_equal [last.id], AtFork.hooks.select { |info| info.name == value }.map(&:id)
      assert_operator times, :<, 0
      assert last.unregister
      first.unregister
    end
  end

  # The hook whose key is compared, or the one after it.
  scenario "key-compared-anew"
  def test_a_comparison_that_unregisters
    ran = []
    3.times do |value|
      hooks = Array.new(3) { |i| AtFork.register(key: Compared.new(i), child: -> { ran << :old }) }
      new = Compared.while_comparing(-> { hooks.each(&:unregister) }) do
        AtFork.register(key: Compared.new(value), child: -> { ran << :new })
      end
      in_child { assert_equal [:new], ran }
      assert_equal [false] * 3, hooks.map(&:unregister)
      assert new.unregister
    end
  end

  def test_a_comparison_that_always_registers_without_a_key
    first = AtFork.register(key: Compared.new(1), child: -> {})
    tries = 0
    register = lambda do
      flunk if (tries += 1) > 10
      AtFork.register(child: -> {}).unregister
    end
    last = Compared.while_comparing(register) { AtFork.register(key: Compared.new(1), child: -> {}) }
    assert_equal [1, false, true], [tries, first.unregister, last.unregister]
  end

  # So unregister cannot fail, and a finalizer, which unregisters too, runs no code of a key.
  def test_only_registering_compares
    hooks = Array.new(3) { |i| AtFork.register(key: Compared.new(i), child: -> {}) }
    Compared.while_comparing(-> { flunk }) { assert_equal [true] * 3, hooks.map(&:unregister) }
  end

  def test_a_text_that_changes
    key = +"key"
    first = AtFork.register(key: key, child: -> {})
    key << "s"
    second = AtFork.register(key: "key", child: -> {})
    assert_equal ["key", false, true], [second.key, first.unregister, second.unregister]
  end

  scenario "key-in-callback"
  def test_replaced_in_a_callback
    trace = []
    AtFork.register(key: :k, prepare: -> { trace << :prepare && AtFork.register(key: :k, child: -> { trace << :new }) },
                    parent: -> { trace << :parent }, child: -> { trace << :child })
    in_child { assert_equal %i[prepare child], trace }
    assert_equal %i[prepare parent], trace
    in_child { assert_equal %i[prepare parent new], trace }
  end

  scenario "key-in-threads"
  def test_threads_leave_one
    20.times { Array.new(8) { |i| Thread.new { AtFork.register(key: :k, child: -> { i }) } }.each(&:join) }
    assert_equal 1, AtFork.hooks.size - @before.size
  end

  # What another thread registers while this one waits for the hook that it replaces.
  def test_another_thread_comes_between
    prepared = Thread::Queue.new
    go_on = Thread::Queue.new
    AtFork.register(key: :k, prepare: -> { prepared << true && go_on.pop })
    forker = Thread.new { fork { Scenario.exit(PASSED) } }
    prepared.pop
    waiter = Thread.new { AtFork.register(key: :k, child: -> {}) }
    wait_until { waiter.status == "sleep" }
    assert_equal 1, AtFork.hooks.size - @before.size
    AtFork.register(key: :k, child: -> {})
    go_on << true
    passed(forker.value)
    waiter.join
    assert_equal 1, AtFork.hooks.size - @before.size
  end
end

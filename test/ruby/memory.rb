# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Hooks as Ruby objects: frozen, garbage-collected and compacted, and without leaks.
require "objspace"

class TestMemory < ForkTest
  def hook
    AtFork.register(name: "typed", priority: 3, child: -> {})
  end

  def test_is_frozen
    assert_predicate hook, :frozen?
    assert_predicate hook.name, :frozen?
    assert_raises(FrozenError) { hook.instance_variable_set(:@id, 1) }
    name = +"changes"
    kept = AtFork.register(name: name, child: -> {})
    name << "!"
    assert_equal "changes", kept.name
  end

  def test_cannot_be_made_otherwise
    assert_raises(NoMethodError) { AtFork::Hook.new }
    assert_raises(TypeError) { AtFork::Hook.allocate }
    assert_raises(TypeError) { hook.dup }
    assert_raises(TypeError) { hook.clone }
    assert_raises(TypeError) { Marshal.dump(hook) }
    assert_raises(TypeError) { Class.new(AtFork::Hook).allocate }
  end

  def test_native_code_takes_no_other_object
    assert_raises(TypeError) { AtFork.module_eval("Native", __FILE__, __LINE__).unregister([], {}, Object.new) }
  end

  # An address in another process is that of something else.
  def test_neither_is_handed_to_another_process
    require "psych"
    [hook, AtFork.symbol(nil, "abort"), AtFork.per_process {}].each do |object|
      [Marshal, Psych].each do |format|
        error = assert_raises(TypeError) { format.dump([object]) }
        assert_equal "#{object.class} belongs to its process and cannot be dumped", error.message
      end
    end
  end

  def test_size_is_known
    assert_operator ObjectSpace.memsize_of(hook), :>, ObjectSpace.memsize_of(Object.new)
  end

  def test_inspect
    assert_match(/\A#<AtFork::Hook "typed" priority=3 id=0x[0-9a-f]+>\z/, hook.inspect)
  end

  # With hooks of each kind a whole life of theirs.
  def live(ran)
    hooks = Array.new(3) do |i|
      AtFork.register(name: "hook #{i}", priority: -i, prepare: -> { ran << [:prepare, i] },
                      parent: AtFork.symbol(Scenario::LIBRARY, "scenario_count"), child: -> { ran << [:child, i] })
    end
    yield hooks if block_given?
    in_child do
      assert_equal [[:prepare, 0], [:prepare, 1], [:prepare, 2], [:child, 2], [:child, 1], [:child, 0]], ran
    end
    hooks.each { |hook| assert hook.unregister }
  end

  def test_survives_gc_stress
    ran = []
    GC.stress = true
    live(ran)
  ensure
    GC.stress = false
  end

  def test_survives_gc_stress_in_forks_by_c
    ran = 0
    AtFork.register_after_fork { ran += 1 }
    GC.stress = true
    in_child("fork") { assert_equal 1, ran }
  ensure
    GC.stress = false
  end

  def test_survives_compaction
    ran = []
    live(ran) do |hooks|
      in_child {} # so that there is a table of them
      ran.clear
      GC.compact
      room = RUBY_VERSION < "3.2" ? :double_heap : :expand_heap
      GC.verify_compaction_references(room => true, toward: :empty)
      assert_equal ["hook 0", "hook 1", "hook 2"], hooks.map(&:name)
    end
  end

  def test_survives_auto_compaction
    before = GC.auto_compact
    GC.auto_compact = true
    live([]) { |_| 3.times { GC.start } }
  ensure
    GC.auto_compact = before
  end

  def rounds(count)
    count.times { AtFork.register(name: "round", prepare: -> {}, parent: -> {}, child: -> {}).unregister }
    GC.start
  end

  scenario "rounds-leave-memory"
  def test_rounds_leave_memory_where_it_was
    rounds(20_000)
    before = Scenario.resident
    assert_operator before, :>, 0
    objects = ObjectSpace.count_objects.values_at(:T_DATA, :T_ARRAY, :T_HASH).sum
    rounds(100_000)
    grown = Scenario.resident - before
    assert_operator grown, :<, 512, "KiB that 100,000 rounds left"
    left = ObjectSpace.count_objects.values_at(:T_DATA, :T_ARRAY, :T_HASH).sum - objects
    assert_operator left, :<, 20, "objects that 100,000 rounds left"
  end

  # In a child what is unregistered ends too.
  def test_forks_leave_memory_where_it_was
    AtFork.register(prepare: -> {}, parent: -> {}, child: -> {})
    in_child {}
    GC.start
    objects = ObjectSpace.count_objects.values_at(:T_DATA, :T_ARRAY, :T_OBJECT).sum
    50.times { in_child {} }
    GC.start
    assert_operator ObjectSpace.count_objects.values_at(:T_DATA, :T_ARRAY, :T_OBJECT).sum - objects, :<, 20
  end

  # As what is Ruby's is.
  def test_a_c_function_is_kept
    weak = ObjectSpace::WeakMap.new
    hook = Thread.new do
      function = Fiddle::Function.new(Scenario::HANDLE["scenario_count"], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_VOID)
      weak[function] = true
      AtFork.register(parent: function)
    end.value
    5.times { GC.start }
    assert_equal 1, weak.size
    hook.unregister
  end

  # A block is copied for a table; what is more than a block is not.
  def test_a_block_with_a_method_of_its_own
    block = -> { flunk }
    ran = false
    block.define_singleton_method(:call) { ran = true }
    AtFork.register_after_fork(block)
    in_child { assert ran }
  end

  def test_callables_of_each_kind
    ran = []
    lambda_that_returns = -> { return ran << :lambda }
    curried = ->(a, b) { ran << a << b }.curry[:curried]
    block_of_a_method = [:a].method(:each).to_proc
    AtFork.register_after_fork(lambda_that_returns)
    AtFork.register_after_fork(ran.method(:clear).unbind.bind(ran))
    AtFork.register_after_fork(-> { curried[:block] })
    AtFork.register_after_fork(block_of_a_method)
    in_child { assert_equal %i[curried block], ran }
  end
end

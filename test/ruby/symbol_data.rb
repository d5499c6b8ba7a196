# frozen_string_literal: true

# SPDX-License-Identifier: MIT

# The data that a C function is called with.  sem_post(3) counts in the memory that it is given.
class TestSymbolData < ForkTest
  LIBC = Fiddle.dlopen("libc.so.6")
  VALUE = Fiddle::Function.new(LIBC["sem_getvalue"], [Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)

  # A semaphore at 0.
  def counter
    Fiddle::Pointer.malloc(64, Fiddle::RUBY_FREE).tap { |memory| memory[0, 64] = "\0" * 64 }
  end

  def value(memory)
    out = "\0" * 8
    VALUE.call(memory, out)
    out.unpack1("i")
  end

  def post(data)
    AtFork.symbol("libc.so.6", "sem_post", data)
  end

  # A thing of Fiddle's that stands for an address, as a struct does.
  Wrapper = Struct.new(:to_ptr)

  {
    pointer: ->(memory) { memory },
    address: ->(memory) { memory.to_i },
    to_ptr: ->(memory) { Wrapper.new(memory) },
  }.each do |kind, make|
    scenario "symbol-data"
    define_method("test_#{kind}") do
      memory = counter
      data = make.call(memory)
      symbol = post(data)
      assert_same data, symbol.data
      hook = AtFork.register(prepare: symbol, parent: symbol, child: symbol)
      in_child { assert_equal 2, value(memory) }
      in_child("_Fork") { assert_equal [1, 3], [AtFork.poll, value(memory)] }
      hook.unregister
      assert_equal 2, value(memory)
    end
  end

  scenario "symbol-data-each-phase"
  def test_another_in_each_phase
    memories = Array.new(3) { counter }
    symbols = memories.map { |memory| post(memory) }
    AtFork.register(prepare: symbols[0], parent: symbols[1], child: symbols[2])
    in_child { assert_equal [1, 0, 1], memories.map { |memory| value(memory) } }
    assert_equal [1, 1, 0], memories.map { |memory| value(memory) }
  end

  def test_beside_a_callback_of_ruby
    memory = counter
    ran = 0
    AtFork.register(prepare: -> { ran += 1 }, child: post(memory))
    in_child { assert_equal [1, 1], [ran, value(memory)] }
  end

  scenario "symbol-without-data"
  def test_beside_a_function_without_data
    memory = counter
    before = Scenario.counted
    AtFork.register(parent: AtFork.symbol(Scenario::LIBRARY, "scenario_count"), child: post(memory))
    in_child { assert_equal [before, 1], [Scenario.counted, value(memory)] }
    assert_equal [before + 1, 0], [Scenario.counted, value(memory)]
  end

  # Or its memory would be freed.
  scenario "symbol-data-kept"
  def test_an_object_is_kept
    weak = ObjectSpace::WeakMap.new
    hook = Thread.new { AtFork.register_after_fork(post(counter.tap { |memory| weak[memory] = true })) }.value
    5.times { GC.start }
    assert_equal 1, weak.size
    in_child {}
    hook.unregister
  end

  def test_none
    assert_nil AtFork.symbol(nil, "abort").data
    assert_nil AtFork.symbol(nil, "abort", nil).data
  end

  scenario "symbol-data-refused"
  def test_what_is_no_address
    { "text" => TypeError, 1.5 => TypeError, :sym => TypeError, -1 => ArgumentError, 2**64 => ArgumentError }.each do |data, error|
      assert_raises(error, data.inspect) { AtFork.symbol(nil, "abort", data) }
    end
  end
end

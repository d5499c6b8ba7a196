# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# AtFork.per_process: a value is made once in each process.

class TestPerProcess < ForkTest
  scenario "value-once"
  def test_once_in_each_process
    made = 0
    lineage = AtFork.per_process do
      made += 1
      AtFork.lineage
    end
    assert_equal "0", lineage.value
    WAYS.each do |way|
      in_child(way) do
        assert_equal AtFork.lineage, lineage.value
        assert_equal AtFork.lineage, lineage.value
        assert_equal 2, made
      end
    end
    assert_equal 1, made
  end

  scenario "value-reset", "value-error"
  def test_reset_and_errors
    tries = 0
    number = AtFork.per_process do
      tries += 1
      raise "not yet" if tries == 1

      tries
    end
    assert_raises(RuntimeError) { number.value }
    assert_equal 2, number.value
    assert_equal 3, number.reset.value
  end

  scenario "value-in-threads"
  def test_threads_make_one
    made = 0
    queue = Thread::Queue.new
    value = AtFork.per_process do
      made += 1
      queue.pop
    end
    threads = Array.new(5) { Thread.new { value.value } }
    wait_until { threads.all? { |thread| thread.status == "sleep" } }
    queue << :it
    assert_equal [:it] * 5, threads.map(&:value)
    assert_equal 1, made
  end

  def test_threads_make_one_in_each_process
    made = 0
    value = AtFork.per_process do
      Thread.pass
      made += 1
    end
    3.times do |i|
      in_child do
        assert_equal [i.zero? ? 1 : 2] * 5, Array.new(5) { Thread.new { value.value } }.map(&:value)
      end
      assert_equal 1, value.value
    end
  end

  # When one fails, the next that waits tries.
  def test_an_error_in_one_of_many_threads
    tries = 0
    queue = Thread::Queue.new
    value = AtFork.per_process do
      tries += 1
      queue.pop
      raise "the first" if tries == 1

      tries
    end
    threads = Array.new(3) do
      Thread.new do
        value.value
      rescue RuntimeError
        :error
      end
    end
    wait_until { threads.all? { |thread| thread.status == "sleep" } }
    2.times { queue << true }
    assert_equal [2, 2, :error], threads.map(&:value).sort_by(&:to_s)
  end

  # A thread of the parent is in the middle of it, and gone in the child.
  (WAYS + ["with the GVL"]).each do |way|
    scenario "value-half-made"
    define_method("test_made_in_a_child_by_#{way.tr(" ", "_")}_while_the_parent_makes_it") do
      queue = Thread::Queue.new
      value = AtFork.per_process { AtFork.generation.zero? ? queue.pop : AtFork.lineage }
      thread = Thread.new { value.value }
      wait_until { thread.status == "sleep" }
      if way == "with the GVL"
        pid = Scenario.fork_with_gvl("fork")
        finish { assert_equal AtFork.lineage, value.value } if pid.zero?
        passed(pid)
      else
        in_child(way) { assert_equal AtFork.lineage, value.value }
      end
      queue << "0"
      assert_equal "0", thread.value
    end
  end

  scenario "value-asks-itself"
  def test_asked_for_while_it_is_made
    value = AtFork.per_process { value.value }
    assert_raises(ThreadError) { value.value }
  end

  scenario "value-forks"
  def test_its_block_forks
    value = AtFork.per_process do
      in_child { assert_equal AtFork.lineage, value.value } if AtFork.generation.zero?
      AtFork.lineage
    end
    assert_equal "0", value.value
  end

  # Made before it was reset: not what is asked for after it.
  def test_reset_while_it_is_made
    made = 0
    queue = Thread::Queue.new
    value = AtFork.per_process do
      made += 1
      queue.pop
    end
    thread = Thread.new { value.value }
    wait_until { thread.status == "sleep" }
    value.reset
    queue << 1 << 2
    assert_equal 1, thread.value
    assert_equal 2, value.value
    assert_equal 2, made
  end

  scenario "value-nil"
  def test_nil_and_false_are_values
    made = 0
    [nil, false].each do |nothing|
      value = AtFork.per_process do
        made += 1
        nothing
      end
      2.times { nothing.nil? ? assert_nil(value.value) : assert_equal(nothing, value.value) }
    end
    assert_equal 2, made
  end

  # Whoever waits for it may be interrupted, and whoever makes it.
  def test_interrupted
    queue = Thread::Queue.new
    value = AtFork.per_process { queue.pop }
    maker, waiter = Array.new(2) { Thread.new { value.value } }
    wait_until { [maker, waiter].all? { |thread| thread.status == "sleep" } }
    waiter.kill.join
    maker.kill.join
    queue << :made
    assert_equal :made, value.value
  end

  def test_in_a_trap_while_another_thread_makes_it
    queue = Thread::Queue.new
    done = Thread::Queue.new
    value = AtFork.per_process { queue.pop }
    thread = Thread.new { value.value }
    wait_until { thread.status == "sleep" }
    before = trap("USR1") do
      done << value.value
    rescue ThreadError => e
      done << e.class
    end
    Process.kill("USR1", Process.pid)
    assert_equal ThreadError, done.pop
    queue << :made
    assert_equal :made, thread.value
  ensure
    trap("USR1", before)
  end

  SECRET = "postgres://admin:secret@db"
  HINT = "#<AtFork::PerProcess made in this process: call .value>"

  # With its value made, and a secret among what the block knows, too.
  def secret
    password = SECRET.dup
    AtFork.per_process { password }.tap(&:value)
  end

  def test_inspect_says_to_call_value
    value = secret
    assert_equal HINT, value.inspect
    not_made = "#<AtFork::PerProcess not made in this process: call .value>"
    WAYS.each { |way| in_child(way) { assert_equal not_made, value.inspect } }
    assert_equal not_made, value.reset.inspect
    # Before Ruby 3.4 messages show no longer one.
    assert_operator not_made.size, :<=, 65
  end

  def message_of(error, &block)
    assert_raises(error, &block).full_message(highlight: false)
  end

  SHOWN = {
    p: ->(value) { p value },
    puts: ->(value) { puts value },
    print: ->(value) { print value },
    pp: ->(value) { pp value },
    interpolation: ->(value) { puts "database: #{value}" },
    format: ->(value) { puts format("%s %p", value, value) },
    array: ->(value) { p [value, { key: value }] },
    struct: ->(value) { pp Struct.new(:database).new(value) },
    instance: ->(value) { p Object.new.tap { |object| object.instance_variable_set(:@database, value) } },
    method: ->(value) { p value.method(:reset) },
  }.freeze

  SHOWN.each do |name, show|
    define_method("test_not_shown_by_#{name}") do
      text, = capture_io { show.call(secret) }
      assert_includes text, name == :method ? "PerProcess" : HINT
      refute_includes text, "secret"
    end
  end

  def test_an_unknown_method_says_to_call_value
    error = assert_raises(NoMethodError) { secret.execute("SELECT") }
    assert_equal :execute, error.name
    assert_equal ["SELECT"], error.args
    assert_includes error.message, "undefined method 'execute' for #{HINT}"
    assert_equal [false, true], [secret.respond_to?(:execute), secret.respond_to?(:value)]
  end

  MISTAKES = {
    unknown: [NoMethodError, ->(value) { value.execute }],
    private: [NoMethodError, ->(value) { value.make }],
    operator: [NoMethodError, ->(value) { value + 1 }],
    index: [NoMethodError, ->(value) { value[:key] }],
    arguments: [ArgumentError, ->(value) { value.reset(1) }],
    integer: [TypeError, ->(value) { Integer(value) }],
    frozen: [FrozenError, ->(value) { value.freeze.reset }],
    key: [KeyError, ->(value) { {}.fetch(value) }],
    throw: [UncaughtThrowError, ->(value) { throw value }],
    raise: [TypeError, ->(value) { raise value }],
    pattern: [NoMatchingPatternError, ->(value) { case value; in Integer then nil; end }], # rubocop:disable Style/Semicolon
    marshal: [TypeError, ->(value) { Marshal.dump(value) }],
    yaml: [TypeError, ->(value) { Psych.dump([value]) }],
  }.freeze

  MISTAKES.each do |name, (error, mistake)|
    define_method("test_not_shown_by_the_error_of_#{name}") do
      require "psych"
      value = secret
      refute_includes message_of(error) { mistake.call(value) }, "secret"
    end
  end

  def test_not_shown_in_json
    code = <<~RUBY
      require "json"
      value = AtFork.per_process { "secret" }.tap(&:value)
      puts JSON.generate([value])
      begin
        require "active_support"
        require "active_support/core_ext/object/json"
        puts [value].to_json, ActiveSupport::JSON.encode(value)
      rescue LoadError
        nil
      end
    RUBY
    text = in_ruby(code)
    assert_includes text, HINT.delete("#<>")
    refute_includes text, "secret"
  end
end

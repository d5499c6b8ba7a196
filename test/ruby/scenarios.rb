# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# The scenarios that the tests of every language have.
require "atfork"
require_relative "tap"
require_relative "callbacks"
require_relative "children"
require_relative "fibers"
require_relative "inherited"
require_relative "keys"
require_relative "locks"
require_relative "memory"
require_relative "neighbours"
require_relative "owner"
require_relative "per_process"
require_relative "places"
require_relative "random"
require_relative "symbol_data"
require_relative "ways"

# Promise 3: once.
class TestOnce < ForkTest
  WAYS.each do |way|
    scenario "once-by-each-way"
    define_method("test_child_runs_once_by_#{way}") do
      ran = 0
      AtFork.register_after_fork { ran += 1 }
      3.times do
        in_child(way) do
          if bypasses?(way)
            assert_equal 0, ran
            assert_equal 1, AtFork.poll
          end
          assert_equal 1, ran
          assert_equal 0, AtFork.poll
          assert_equal 1, AtFork.generation
        end
      end
      assert_equal 0, ran
    end
  end

  def descend(ways, depth, ran)
    AtFork.poll if bypasses?(ways[depth - 1])
    assert_equal depth, ran[0]
    assert_equal depth, AtFork.generation
    in_child(ways[depth]) { descend(ways, depth + 1, ran) } if depth < 3
  end

  # But for Ruby's own fork below one of C: the VM of such a process is not fit for it, and may end in a [BUG].
  scenario "three-generations"
  def test_three_deep_in_all_ways
    ran = [0]
    AtFork.register_after_fork { ran[0] += 1 }
    WAYS.product(WAYS, WAYS) do |ways|
      next if ways.each_cons(2).any? { |above, below| above != "ruby" && below == "ruby" }

      in_child(ways[0]) { descend(ways, 1, ran) }
    end
  end

  scenario "own-hook-not-for-own-fork"
  def test_a_new_process_own_hook_does_not_run_for_its_fork
    WAYS.each do |way|
      in_child(way) do
        ran = 0
        AtFork.register_after_fork { ran += 1 }
        assert_equal 0, AtFork.poll
        assert_equal 0, ran
      end
    end
  end

  def test_before_the_block
    ran = false
    AtFork.register_after_fork { ran = true }
    passed(fork { finish { assert ran } })
    passed(Process.fork { finish { assert ran } })
  end

  scenario "own-fork-calls"
  def test_popen
    AtFork.register_after_fork { @ran = AtFork.lineage }
    text = IO.popen("-") do |io|
      if io.nil?
        $stdout.print(@ran)
        $stdout.flush
        Scenario.exit(0)
      end
      io.read
    end
    assert_match(/\A0\.\d+\z/, text)
  end

  # One fork, or two before Ruby 3.3, and the last process has run the hook once.
  scenario "own-fork-calls"
  def test_daemon
    reader, writer = IO.pipe
    pid = fork do
      ran = 0
      AtFork.register_after_fork { ran += 1 }
      Process.daemon(true, true)
      writer.print("#{ran} #{AtFork.generation}")
      writer.flush
      Scenario.exit(0)
    end
    writer.close
    assert_equal RUBY_VERSION < "3.3" ? "1 3" : "1 2", reader.read
    Process.wait(pid)
  end

  scenario "fork-in-threads"
  def test_forks_in_threads
    ran = 0
    AtFork.register_after_fork { ran += 1 }
    threads = Array.new(4) do
      Thread.new { Array.new(5) { fork { finish { assert_equal 1, ran } } } }
    end
    threads.flat_map(&:value).each { |child| passed(child) }
    assert_equal 0, ran
  end

  scenario "fork-in-c-thread"
  def test_fork_in_a_thread_of_c
    ran = 0
    AtFork.register_after_fork { ran += 1 }
    %w[fork _Fork].each { |way| assert_equal 42, Scenario.fork_in_thread(way) }
    assert_equal 0, ran
    in_child { assert_equal 1, ran }
  end

  scenario "fork-in-child-callback"
  def test_fork_in_a_child_callback
    early = late = 0
    AtFork.register_after_fork { early += 1 }
    AtFork.register_after_fork do
      if AtFork.generation == 1
        pid = fork
        passed(pid) if pid
      end
    end
    AtFork.register_after_fork { late += 1 }
    in_child do
      generation = AtFork.generation
      assert_equal generation, early
      assert_equal 1, late
    end
  end
end

# Promises 1 and 2: order and pairing.
class TestOrder < ForkTest
  def add(letter, **options)
    AtFork.register(name: letter, **options,
                    prepare: -> { @prepared << letter }, parent: -> { @parented << letter }, child: -> { @childed << letter })
  end

  def setup
    super
    @prepared = +""
    @parented = +""
    @childed = +""
  end

  scenario "order"
  def test_by_priority_then_registration
    add("a", priority: 5)
    add("b")
    add("c", priority: -32_768)
    add("d", priority: 5)
    add("e", priority: 32_767)
    in_child do
      assert_equal "edabc", @prepared
      assert_equal "cbade", @childed
      assert_equal "", @parented
    end
    assert_equal "edabc", @prepared
    assert_equal "cbade", @parented
    assert_equal "", @childed
  end

  scenario "unregister-in-prepare"
  def test_unregistered_in_prepare_gets_the_rest
    trace = []
    hook = nil
    hook = AtFork.register(
      prepare: lambda {
        trace << :prepare
        assert hook.unregister
        refute hook.unregister
      },
      parent: -> { trace << :parent }, child: -> { trace << :child }
    )
    in_child { assert_equal %i[prepare child], trace }
    assert_equal %i[prepare parent], trace
    in_child { assert_equal %i[prepare parent], trace }
  end

  scenario "register-in-callback"
  def test_registered_in_a_callback_joins_the_next_fork
    ran = 0
    late = nil
    AtFork.register(prepare: -> { late ||= AtFork.register_after_fork { ran += 1 } })
    in_child { assert_equal 0, ran }
    in_child { assert_equal 1, ran }
  end

  scenario "fork-in-prepare"
  def test_fork_in_prepare
    inner = false
    add("a")
    AtFork.register(prepare: lambda {
      next if inner

      inner = true
      in_child { assert_equal "a", @childed }
      assert_equal "a", @parented
    })
    in_child { assert_equal "a", @childed }
    assert_equal "aa", @parented
  end

  scenario "hooks-in-order"
  def test_hooks_are_in_run_order
    add("a", priority: 2)
    add("b", priority: 1)
    info = AtFork.hooks
    assert_equal %w[b a], info.map(&:name)
    assert_equal [1, 2], info.map(&:priority)
    assert_equal [true, true, true, 0], info[0].to_a.values_at(4, 5, 6, 3)
    assert info.all?(&:frozen?)
  end
end

# Hooks as objects, and memory.
class TestHook < ForkTest
  scenario "hook-fields", "hook-read-only"
  def test_fields
    hook = AtFork.register(name: "fields", priority: -7, parent: -> {})
    assert_equal "fields", hook.name
    assert_equal(-7, hook.priority)
    assert_equal AtFork.hooks[0].id, hook.id
    assert_match(/fields.*-7/, hook.inspect)
    assert hook.frozen?
  end

  scenario "unregister-ends"
  def test_unregister
    ran = 0
    hook = AtFork.register_after_fork { ran += 1 }
    assert hook.unregister
    refute hook.unregister
    in_child { assert_equal 0, ran }
  end

  def test_a_callable_object
    callable = Class.new do
      attr_reader :ran

      def call
        @ran = true
      end
    end.new
    AtFork.register_after_fork(callable)
    in_child { assert callable.ran }
  end

  def weak_after_unregister
    hook = AtFork.register_after_fork { self }
    weak = ObjectSpace::WeakMap.new
    weak[hook] = true
    GC.start
    kept = weak.size
    hook.unregister
    [weak, kept]
  end

  scenario "callables-let-go"
  def test_callables_are_kept_and_let_go
    weak, kept = Thread.new { weak_after_unregister }.value
    assert_equal 1, kept
    10.times { GC.start }
    assert_equal 0, weak.size
  end

  scenario "hook-outlives-object"
  def test_stays_without_its_object
    ran = 0
    in_child do
      Thread.new { AtFork.register_after_fork { ran += 1 } && nil }.join
      3.times { GC.start }
      in_child { assert_equal 1, ran }
    end
  end

  def test_survives_gc_stress
    ran = 0
    GC.stress = true
    AtFork.register(name: "stress", child: -> { ran += 1 })
    AtFork.hooks
    GC.stress = false
    GC.compact
    in_child { assert_equal 1, ran }
  end
end

# Who this process is.
class TestProcess < ForkTest
  scenario "place-and-seed"
  def test_generation_lineage_seed
    assert_equal 0, AtFork.generation
    assert_equal "0", AtFork.lineage
    assert_equal AtFork.seed(1), AtFork.seed(1)
    refute_equal AtFork.seed(1), AtFork.seed(2)
    assert_equal AtFork.seed(-1), AtFork.seed((2**64) - 1)
    mine = AtFork.seed(1)
    in_child do
      assert_match(/\A0\.\d+\z/, AtFork.lineage)
      refute_equal mine, AtFork.seed(1)
      assert_includes 0...(2**64), AtFork.seed(1)
    end
  end

  scenario "seed-bases"
  def test_seeds_of_64_bits
    bases = [0, 1, (2**63) - 1, 2**63, (2**64) - 2, (2**64) - 1]
    assert_equal bases, bases.uniq { |base| AtFork.seed(base) }
    [-1, -2, -(2**63)].each { |base| assert_equal AtFork.seed(base), AtFork.seed(base + (2**64)) }
    error = assert_raises(ArgumentError) { AtFork.seed(2**64) }
    assert_equal "base must be in -9223372036854775808..18446744073709551615", error.message
  end

  scenario "version"
  def test_version
    assert_match(/\A\d+\.\d+\.\d+\z/, AtFork::VERSION)
  end
end

# Errors in callbacks.
class TestErrors < ForkTest
  scenario "errors-isolated"
  def test_are_isolated_and_reported
    text = stderr_of do
      ran = 0
      AtFork.on_error = nil
      AtFork.register(name: "breaks", child: -> { raise "a broken callback" })
      AtFork.register_after_fork { ran += 1 }
      in_child { assert_equal 1, ran }
    end
    assert_equal 1, text.scan("a broken callback").size, text
    assert_includes text, "error in child of hook 'breaks'"
    assert_match(/scenarios\.rb:\d+/, text)
  end

  scenario "on-error"
  def test_go_to_on_error
    seen = nil
    hook = AtFork.register(parent: -> { raise ArgumentError, "oops" })
    AtFork.on_error = ->(error, which, phase) { seen = [error.message, which, phase] }
    in_child {}
    assert_equal ["oops", hook, :parent], seen
  end

  scenario "errors-after-c-fork"
  def test_after_a_fork_by_c
    seen = []
    ran = 0
    AtFork.on_error = ->(error, hook, phase) { seen << [error.message, hook.name, phase] }
    AtFork.register(name: "breaks", child: -> { raise "oops" })
    AtFork.register_after_fork { ran += 1 }
    pid = Scenario.fork_with_gvl("fork")
    finish { assert_equal [[["oops", "breaks", :child]], 1], [seen, ran] } if pid.zero?
    passed(pid)
  end

  scenario "on-error-fails"
  def test_an_error_in_on_error
    text = stderr_of do
      AtFork.on_error = ->(*) { raise "worse" }
      AtFork.register_after_fork { raise "bad" }
      in_child {}
    end
    assert_includes text, "worse"
    assert_includes text, "bad"
  end

  # Nothing of the program's own may keep the other hooks from running.
  scenario "error-that-cannot-be-shown"
  def test_an_error_that_cannot_be_told
    error = Class.new(StandardError) { def message = raise("no message either") }
    check_reported(error.new, /error in child of hook 'breaks'/)
  end

  # What a fork of Ruby's asks of it.
  class PlainStderr
    def write(*text)
      STDERR.write(*text)
    end

    def flush; end
  end

  def test_a_plain_stderr
    $stderr = PlainStderr.new
    check_reported(RuntimeError.new("a broken callback"), /a broken callback/)
  ensure
    $stderr = STDERR
  end

  def test_a_broken_stderr
    $stderr = Class.new(PlainStderr) { def write(*) = raise(IOError, "closed") }.new
    check_reported(RuntimeError.new("a broken callback"), /a broken callback/)
  ensure
    $stderr = STDERR
  end

  # The other hook runs, and nothing leaves `fork`.
  def check_reported(error, pattern)
    AtFork.on_error = nil
    reader, writer = IO.pipe
    AtFork.register(name: "breaks", child: -> { STDERR.reopen(writer) && raise(error) })
    ran = 0
    AtFork.register_after_fork { ran += 1 }
    in_child { assert_equal 1, ran }
    writer.close
    assert_match pattern, reader.read
  end

  scenario "exit-in-callback"
  def test_exit_and_throw_wait_for_the_others
    ran = 0
    AtFork.register_after_fork { exit(7) }
    AtFork.register_after_fork { ran += 1 }
    pid = fork do
      Scenario.exit(1)
    rescue SystemExit
      Scenario.exit(1)
    end
    assert_equal 7, Scenario.wait(pid) if pid
  rescue SystemExit => e
    # In the child: its own exit() goes on from the fork, when the other hook has run.
    Scenario.exit(ran == 1 ? e.status : 1)
  end

  def test_throw_waits_for_the_others
    ran = 0
    AtFork.register(parent: -> { throw :done })
    AtFork.register(parent: -> { ran += 1 })
    catch(:done) { in_child {} }
    assert_equal 1, ran
    Process.wait
  end
end

# C-side hooks.
class TestSymbol < ForkTest
  def check_counts(callback)
    hook = AtFork.register_after_fork(callback)
    before = Scenario.counted
    in_child { assert_equal before + 1, Scenario.counted }
    in_child("_Fork") do
      assert_equal 1, AtFork.poll
      assert_equal before + 1, Scenario.counted
    end
    assert_equal before, Scenario.counted
    hook.unregister
  end

  scenario "symbol"
  def test_symbol
    check_counts(AtFork.symbol(Scenario::LIBRARY, "scenario_count"))
  end

  scenario "ffi-function"
  def test_fiddle
    pointer = Fiddle::Pointer.new(Scenario::HANDLE["scenario_count"])
    check_counts(pointer)
    check_counts(Fiddle::Function.new(pointer, [Fiddle::TYPE_VOIDP], Fiddle::TYPE_VOID))
  end

  def function_at(address)
    Fiddle::Function.new(address, [Fiddle::TYPE_VOIDP], Fiddle::TYPE_VOID)
  end

  # In any place for a callback, and nothing is registered.
  def check_refused(function, complaint)
    before = AtFork.hooks
    error = assert_raises(ArgumentError) { AtFork.register_after_fork(function) }
    assert_equal "callable is #{complaint}", error.message
    %w[prepare parent child].each do |phase|
      error = assert_raises(ArgumentError) { AtFork.register(child: -> {}, phase.to_sym => function) }
      assert_equal "#{phase} is #{complaint}", error.message
    end
    assert_equal before, AtFork.hooks
  end

  def test_null
    [Fiddle::Pointer.new(0), Fiddle::NULL, function_at(0)].each { |null| check_refused(null, "a null pointer") }
  end

  # A closure would run Ruby inside fork(2).
  scenario "ffi-closure-refused"
  def test_a_function_of_no_library
    closure = Class.new(Fiddle::Closure) { def call(*) end }.new(Fiddle::TYPE_VOID, [Fiddle::TYPE_VOIDP])
    memory = Fiddle::Pointer.malloc(16, Fiddle::RUBY_FREE)
    [function_at(closure), Fiddle::Pointer.new(closure.to_i), memory, Fiddle::Pointer.new(-1)].each do |function|
      check_refused(function, "not a function of a library: register Ruby callables as they are, not as C callbacks")
    end
  end

  # Whoever has loaded it may let go of it.
  scenario "ffi-library-stays"
  def test_its_library_stays
    check = <<~RUBY
      require "fiddle"
      library = Fiddle.dlopen(ENV.fetch("SCENARIO_LIBRARY"))
      AtFork.register_after_fork(Fiddle::Pointer.new(library["scenario_count"]))
      library.close
      fork { exit!(0) }
      exit!(Process.wait2[1] == 0 ? 0 : 1)
    RUBY
    in_ruby(check)
  end

  scenario "symbol-mixed"
  def test_mixed
    ran = 0
    AtFork.register(prepare: -> { ran += 1 }, child: AtFork.symbol(Scenario::LIBRARY, "scenario_count"))
    before = Scenario.counted
    in_child { assert_equal [1, before + 1], [ran, Scenario.counted] }
  end

  scenario "symbol-never-waits"
  def test_runs_while_ruby_is_busy
    count = AtFork.symbol(Scenario::LIBRARY, "scenario_count")
    AtFork.register(prepare: count, parent: count)
    assert_equal 2, Scenario.counted_by_fork
  end

  scenario "symbol-of-process"
  def test_the_process_itself
    assert_kind_of AtFork::Symbol, AtFork.symbol(nil, "abort")
  end

  scenario "symbol-refused"
  def test_what_is_none
    {
      ["libnothing-of-the-kind.so", "x"] => ArgumentError,
      [Scenario::LIBRARY, "no_such_symbol"] => ArgumentError,
      [Scenario::LIBRARY, "scenario_data"] => ArgumentError,
      [Scenario::LIBRARY, nil] => TypeError,
      [3, "x"] => TypeError,
      %W[a\0b x] => ArgumentError,
    }.each { |arguments, error| assert_raises(error, arguments.inspect) { AtFork.symbol(*arguments) } }
  end
end

# Bad input.
class TestArguments < ForkTest
  f = -> {}
  TABLE = [
    [:register, [], {}, ArgumentError],
    [:register, [f], {}, ArgumentError],
    [:register, [], { name: "x" }, ArgumentError],
    [:register, [], { child: f, nmae: "x" }, ArgumentError],
    [:register, [], { child: f, name: 3 }, TypeError],
    [:register, [], { child: f, name: nil }, TypeError],
    [:register, [], { child: f, name: "a\0b" }, ArgumentError],
    [:register, [], { child: f, name: "wide".encode("UTF-16LE") }, ArgumentError],
    [:register, [], { child: f, priority: "1" }, TypeError],
    [:register, [], { child: f, priority: 1.5 }, TypeError],
    [:register, [], { child: f, priority: nil }, TypeError],
    [:register, [], { child: f, priority: 32_768 }, ArgumentError],
    [:register, [], { child: f, priority: -32_769 }, ArgumentError],
    [:register, [], { child: f, priority: 2**70 }, ArgumentError],
    [:register, [], { child: "f" }, TypeError],
    [:register, [], { child: 3 }, TypeError],
    [:register, [], { child: [] }, TypeError],
    [:register, [], { parent: true, child: f }, TypeError],
    [:register, [], { prepare: :sym, child: f }, TypeError],
    [:register_after_fork, [], {}, ArgumentError],
    [:register_after_fork, [1], {}, TypeError],
    [:register_after_fork, ["x"], {}, TypeError],
    [:register_after_fork, [{}], {}, TypeError],
    [:register_after_fork, [f, f], {}, ArgumentError],
    [:seed, ["x"], {}, TypeError],
    [:seed, [1.5], {}, TypeError],
    [:seed, [2**64], {}, ArgumentError],
    [:seed, [2**70], {}, ArgumentError],
    [:seed, [-(2**63) - 1], {}, ArgumentError],
    [:adopt, ["31".encode("UTF-16LE")], {}, ArgumentError],
    [:adopt, ["\u0663".encode("UTF-16LE")], {}, ArgumentError],
    [:symbol, [nil, "getpid".encode("UTF-16LE")], {}, ArgumentError],
    [:on_error=, [3], {}, TypeError],
    [:per_process, [], {}, ArgumentError],
  ].freeze

  TABLE.each_with_index do |(method, arguments, keywords, error), i|
    scenario "bad-arguments", *("on-error-refused" if method == :on_error=)
    define_method(format("test_row_%02d_%s", i, method.to_s.delete("="))) do
      before = AtFork.hooks.size
      assert_raises(error) { AtFork.public_send(method, *arguments, **keywords) }
      assert_equal before, AtFork.hooks.size
    end
  end
end

# Blocks where there is no place for one, or none where there is.
class TestBlocks < ForkTest
  def test_a_block_for_register
    before = AtFork.hooks
    [{ child: -> {} }, {}].each do |callbacks|
      error = assert_raises(ArgumentError) { AtFork.register(**callbacks) { flunk } }
      assert_equal "register takes no block: give callables as prepare, parent and child", error.message
    end
    assert_equal before, AtFork.hooks
  end

  def test_per_process_without_a_block
    [-> { AtFork::PerProcess.new }, -> { AtFork.per_process }].each do |make|
      assert_equal "a block is required", assert_raises(ArgumentError, &make).message
    end
  end
end

# Promises 7 and 8: forks that fail, and what is no fork.
class TestOtherForks < ForkTest
  scenario "fork-fails"
  def test_a_fork_that_fails
    in_child do
      trace = []
      AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent }, child: -> { trace << :child })
      # At EAGAIN Ruby tries again for ever.
      assert_equal 0, Scenario.forbid_forks(Errno::ENOMEM::Errno)
      assert_raises(Errno::ENOMEM) { fork }
      assert_equal %i[prepare parent], trace
      assert_equal 1, AtFork.generation
    end
  end

  scenario "spawns-are-no-forks"
  def test_spawns_are_no_forks
    ran = 0
    run = -> { ran += 1 }
    AtFork.register(prepare: run, parent: run, child: run)
    assert_equal 0, Scenario.spawn
    assert system("true")
    assert_equal "x\n", `echo x`
    Process.wait(Process.spawn("true"))
    assert_equal 0, ran
    assert_equal 0, AtFork.generation
  end

  scenario "parent-after-c-fork"
  def test_parent_of_a_fork_in_c
    parents = 0
    AtFork.register(parent: -> { parents += 1 })
    pid = Scenario.fork("fork")
    Scenario.exit(PASSED) if pid.zero?
    passed(pid)
    assert_equal 1, parents
  end
end

run_tests

# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Locks across forks: AtFork.prepared says whether a hook's own prepare ran; AtFork.register_lock holds a lock.
require "monitor"

# AtFork.prepared: whether this hook's own prepare ran for this fork.
class TestPrepared < ForkTest
  # What each hook was told in its parent or child, by name.
  def told
    @told ||= Hash.new { |told, name| told[name] = [] }
  end

  def add(name, **callbacks)
    tell = -> { told[name] << AtFork.prepared }
    AtFork.register(name: name, **callbacks, parent: tell, child: tell)
  end

  scenario "prepared-returned"
  def test_when_it_ran_and_returned
    add("a", prepare: -> {})
    in_child { assert_equal [true], told["a"] }
    assert_equal [true], told["a"]
  end

  scenario "prepared-absent"
  def test_not_when_there_is_none
    add("a")
    in_child { assert_equal [false], told["a"] }
    assert_equal [false], told["a"]
  end

  scenario "prepared-raised"
  def test_not_when_it_raised
    AtFork.on_error = ->(error, hook, phase) { told[:error] << [error.message, hook.name, phase] }
    add("a", prepare: -> {})
    add("b", prepare: -> { raise "not now" })
    add("c", prepare: -> {})
    in_child { assert_equal [[true], [false], [true]], told.values_at("a", "b", "c") }
    assert_equal [[true], [false], [true]], told.values_at("a", "b", "c")
    assert_equal [["not now", "b", :prepare]], told[:error]
  end

  # The first and the last that runs.
  %w[a c].each do |bad|
    define_method("test_not_when_#{bad}_threw") do
      %w[a b c].each { |name| add(name, prepare: -> { throw :out if name == bad }) }
      catch(:out) { fork { Scenario.exit(1) } }
      assert_equal(%w[a b c].map { |name| [name != bad] }, told.values_at("a", "b", "c"))
    end
  end

  def test_not_when_it_exited
    add("a", prepare: -> { exit })
    assert_raises(SystemExit) { fork { Scenario.exit(1) } }
    assert_equal [false], told["a"]
  end

  # Nothing was forked then, so one that is written in C did not run.
  def test_a_parent_in_c_when_nothing_is_forked
    prepared = 0
    AtFork.register(prepare: -> { prepared += 1 }, parent: AtFork.symbol(Scenario::LIBRARY, "scenario_count"))
    AtFork.register(prepare: -> { throw :out })
    before = Scenario.counted
    catch(:out) { fork { Scenario.exit(1) } }
    assert_equal [1, before + 1], [prepared, Scenario.counted]
  end

  scenario "prepared-in-c"
  def test_a_prepare_in_c
    count = AtFork.symbol(Scenario::LIBRARY, "scenario_count")
    add("c", prepare: count)
    in_child { assert_equal [true], told["c"] }
    AtFork.register(prepare: -> { throw :out })
    catch(:out) { fork { Scenario.exit(1) } }
    assert_equal [true, false], told["c"]
  end

  (WAYS - ["ruby"]).each do |way|
    scenario "prepared-after-c-fork"
    define_method("test_not_after_a_fork_in_c_by_#{way}") do
      add("a", prepare: -> { flunk })
      in_child(way) do
        AtFork.poll
        assert_equal [false], told["a"]
      end
      AtFork.poll
      in_child(way) {}
      assert_empty told["a"]
    end
  end

  def test_not_after_a_daemon
    reader, writer = IO.pipe
    pid = fork do
      add("a", prepare: -> { writer.print("prepare ") })
      Process.daemon(true, true)
      writer.print(told["a"].inspect)
      writer.flush
      Scenario.exit(0)
    end
    writer.close
    assert_equal "[false]", reader.read
    Process.wait(pid)
  end

  # Each fork is asked about itself.
  scenario "prepared-nested"
  def test_a_fork_in_a_callback
    AtFork.on_error = ->(*) {}
    outer = true
    add("a", prepare: -> { outer || raise("not now") })
    AtFork.register(priority: -1, parent: lambda {
      next unless outer

      outer = false
      in_child { assert_equal [false], told["a"] }
    })
    in_child {}
    assert_equal [false, true], told["a"]
  end

  # The outer fork goes on in the inner one's child: there are four processes.
  scenario "outer-fork-goes-on"
  def test_an_inner_forks_child_goes_on_with_the_outer_fork
    AtFork.on_error = ->(*) {}
    prepares = 0
    add("a", prepare: -> { (prepares += 1) == 1 && raise("not now") })
    inner = :none
    AtFork.register(priority: -1, prepare: lambda {
      next unless inner == :none

      inner = :under_way
      inner = fork
    })
    outer = fork
    finish { assert_equal [true, false], told["a"] } if outer.nil?
    passed(outer)
    finish { assert_equal [true, false], told["a"] } if inner.nil?
    passed(inner)
    assert_equal [true, false], told["a"]
  end

  scenario "prepared-elsewhere"
  def test_elsewhere_it_is_an_error
    message = "prepared may be called only in a parent or child callback"
    ask = lambda do
      told[:error] << assert_raises(RuntimeError) { AtFork.prepared }.message
    end
    ask.call
    AtFork.register(prepare: ask, child: -> { [Thread, Fiber].each { |type| type.new(&ask).then { |it| it.is_a?(Thread) ? it.join : it.resume } } })
    in_child { assert_equal [message] * 4, told[:error] }
    ask.call
    assert_equal [message] * 3, told[:error]
  end
end

# AtFork.register_lock, for each kind of lock.
module LockTests
  extend Shows

  def lock
    @lock ||= make
  end

  # Runs the block while another thread is inside the lock.
  def while_another_holds_it
    inside = Thread::Queue.new
    leave = Thread::Queue.new
    thread = Thread.new do
      synchronize do
        inside << true
        leave.pop
      end
    end
    inside.pop
    yield leave
  ensure
    leave << true
    thread.join
  end

  def test_no_child_is_made_inside
    counts = [0, 0]
    AtFork.register_lock(lock)
    stop = false
    threads = Array.new(3) do
      Thread.new do
        until stop
          synchronize do
            counts[0] += 1
            Thread.pass
            counts[1] += 1
          end
          Thread.pass
        end
      end
    end
    10.times { in_child { assert_equal counts[0], counts[1] } }
  ensure
    stop = true
    threads.each(&:join)
  end

  scenario "lock-held-across-fork"
  def test_free_in_both
    hook = AtFork.register_lock(lock, priority: 7)
    assert_equal 7, hook.priority
    held = nil
    AtFork.register(priority: 6, prepare: -> { held = mine? })
    in_child do
      assert held
      refute mine?
      Thread.new { assert synchronize { true } }.join
    end
    refute mine?
    Thread.new { assert synchronize { true } }.join
    hook.unregister
    in_child { refute held = nil }
  end

  # By whatever its thread is interrupted.
  scenario "lock-fork-inside"
  def test_a_fork_inside_the_section_leaves_it_alone
    AtFork.register_lock(lock)
    synchronize do
      in_child { assert mine? }
      assert mine?
    end
    refute mine?
  end

  scenario "lock-fork-inside"
  def test_a_trap_inside_the_section_leaves_it_alone
    AtFork.register_lock(lock)
    done = Thread::Queue.new
    before = trap("USR1") { done << fork { finish { assert mine? } } }
    synchronize do
      Process.kill("USR1", Process.pid)
      passed(done.pop)
      assert mine?
    end
    refute mine?
  ensure
    trap("USR1", before)
  end

  # There it cannot be waited for.
  def test_a_trap_while_another_thread_holds_it
    AtFork.register_lock(lock)
    errors = []
    AtFork.on_error = ->(error, hook, phase) { errors << [error.class, hook.name, phase] }
    done = Thread::Queue.new
    while_another_holds_it do
      before = trap("USR1") { done << fork { finish { assert try } } }
      Process.kill("USR1", Process.pid)
      passed(done.pop)
      trap("USR1", before)
      refute mine?
      refute Thread.new { try }.value
    end
    assert_equal [[ThreadError, "lock", :prepare]], errors
    assert(synchronize { true })
  end

  scenario "lock-waited-for"
  def test_a_fork_waits_for_who_holds_it
    AtFork.register_lock(lock)
    while_another_holds_it do |leave|
      waiter = Thread.new { fork { finish { assert try } } }
      wait_until { waiter.status == "sleep" }
      leave << true
      passed(waiter.value)
    end
  end

  scenario "lock-nested-forks"
  def test_a_fork_in_each_phase
    AtFork.register_lock(lock)
    forks = 0
    again = lambda do
      next if (forks += 1) > 1

      in_child { Thread.new { assert synchronize { true } }.join unless mine? }
    end
    %i[prepare parent child].product([-1, 1]) do |phase, priority|
      forks = 0
      hook = AtFork.register(priority: priority, phase => again)
      in_child { refute mine? }
      refute mine?
      hook.unregister
    end
  end

  # All hooks run there too, and those of the fork around it have nothing left to run.
  def test_a_child_forked_by_a_callback_has_it_free
    AtFork.register_lock(lock)
    AtFork.register(priority: -1, child: lambda {
      next unless AtFork.generation == 1

      in_child { Thread.new { assert synchronize { true } }.join }
      pid = Scenario.fork_with_gvl("fork")
      finish { Thread.new { assert synchronize { true } }.join } if pid.zero?
      passed(pid)
    })
    in_child { Thread.new { assert synchronize { true } }.join }
  end

  scenario "lock-fork-fails"
  def test_a_fork_that_fails
    in_child do
      AtFork.register_lock(lock)
      assert_equal 0, Scenario.forbid_forks(Errno::ENOMEM::Errno)
      assert_raises(Errno::ENOMEM) { fork }
      refute mine?
    end
  end

  # No prepare ran, so there is nothing to let go of.
  scenario "lock-without-prepare"
  def test_a_fork_by_c_inside_the_section_leaves_it_alone
    AtFork.register_lock(lock)
    synchronize do
      pid = Scenario.fork_with_gvl("fork")
      finish { assert mine? } if pid.zero?
      passed(pid)
      assert mine?
    end
  end

  %w[fork _Fork syscall].each do |way|
    scenario "lock-of-lost-thread"
    define_method("test_free_in_a_child_by_#{way}_when_another_thread_holds_it") do
      AtFork.register_lock(lock)
      while_another_holds_it do
        pid = Scenario.fork_with_gvl(way)
        if pid.zero?
          finish do
            AtFork.poll
            assert try
          end
        end
        passed(pid)
      end
    end
  end

  def test_a_daemon_inside_the_section_leaves_it_alone
    reader, writer = IO.pipe
    pid = fork do
      AtFork.register_lock(lock)
      synchronize do
        Process.daemon(true, true)
        writer.print(mine?)
        writer.flush
      end
      writer.print(mine?)
      writer.flush
      Scenario.exit(0)
    end
    writer.close
    assert_equal "truefalse", reader.read
    Process.wait(pid)
  end

  def free?(lock)
    Thread.new { lock.synchronize { true } }.value
  end

  # Forks in a thread while another one holds the lock, and calls `meanwhile` once the fork waits for it.
  def holding(lock, meanwhile, &block)
    inside = Thread::Queue.new
    forker = nil
    holder = Thread.new do
      lock.synchronize do
        inside << true
        wait_until { forker&.status == "sleep" }
        meanwhile.call(forker)
      end
    end
    inside.pop
    forker = Thread.new { fork { finish(&block) } }
    holder.value
    forker.value
  end

  # The fork has the other one by then, and has to let go of it.
  def test_a_thread_that_takes_them_in_another_order
    other = make
    AtFork.register_lock(other, priority: 1)
    AtFork.register_lock(lock)
    passed(holding(lock, ->(_) { other.synchronize {} }) { assert free?(other) && free?(lock) })
    assert free?(other) && free?(lock)
  end

  # Having waited for this one, the fork finds the other one taken.
  def test_a_thread_that_takes_them_by_turns
    other = make
    attempts = 0
    AtFork.register(priority: 2, prepare: -> { attempts += 1 })
    AtFork.register_lock(other, priority: 1)
    AtFork.register_lock(lock)
    again = nil
    pid = holding(lock, lambda { |_|
      ready = Thread::Queue.new
      again = Thread.new do
        other.synchronize do
          ready << true
          wait_until { attempts == 2 }
          lock.synchronize {}
        end
      end
      ready.pop
    }) { assert free?(other) && free?(lock) }
    passed(pid)
    again.join
    assert_equal 3, attempts
    assert free?(other) && free?(lock)
  end

  def test_the_hooks_prepared_so_far_are_told_that_it_comes_to_nothing
    ran = []
    note = lambda do |name|
      { prepare: -> { ran << "#{name} prepare" }, parent: -> { ran << "#{name} parent #{AtFork.prepared}" } }
    end
    AtFork.register(priority: -1, **note["last"])
    AtFork.register_lock(lock)
    AtFork.register(priority: 1, **note["second"])
    AtFork.register(priority: 2, **note["first"], child: -> { ran << "child" })
    expected = ["first prepare", "second prepare", "second parent true", "first parent true",
                "first prepare", "second prepare", "last prepare"]
    passed(holding(lock, ->(_) {}) { assert_equal [*expected, "child"], ran })
    assert_equal [*expected, "last parent true", "second parent true", "first parent true"], ran
  end

  # In C it runs inside fork(2): not for an attempt that does not come so far.
  def test_callbacks_in_c_of_hooks_prepared_so_far
    count = AtFork.symbol(Scenario::LIBRARY, "scenario_count")
    told = []
    AtFork.register_lock(lock)
    AtFork.register(priority: 1, prepare: -> {}, parent: count)
    AtFork.register(priority: 1, prepare: count, parent: -> { told << AtFork.prepared })
    before = Scenario.counted
    passed(holding(lock, ->(_) {}) {})
    assert_equal [before + 3, [true]], [Scenario.counted, told]
  end

  # No callback of theirs runs from then on.
  def test_the_thread_that_holds_it_unregisters_hooks
    ran = []
    keeps = AtFork.register_lock(lock)
    hook = AtFork.register(priority: 1, prepare: -> { ran << :prepare }, parent: -> { ran << :parent }, child: -> { ran << :child })
    passed(holding(lock, ->(_) { assert_equal [true, true], [hook.unregister, keeps.unregister] }) { assert free?(lock) })
    assert_equal %i[prepare parent], ran
    assert free?(lock)
  end

  def test_a_hook_registered_meanwhile_is_for_the_next_fork
    ran = []
    AtFork.register_lock(lock)
    AtFork.register(priority: 1, parent: -> { ran << :first })
    passed(holding(lock, ->(_) { AtFork.register(priority: 2, prepare: -> { ran << :second }) }) { assert_equal [:first], ran })
    assert_equal %i[first first], ran
    in_child {}
    assert_equal %i[first first second first], ran
  end

  # That goes on, and waits for no lock; who was not prepared yet is not told.
  def test_an_exit_in_a_prepare_before_one_that_is_taken
    ran = []
    AtFork.register_lock(lock)
    AtFork.register(priority: 1, prepare: -> { (ran << :prepare) && exit }, parent: -> { ran << AtFork.prepared })
    AtFork.register(priority: -1, prepare: -> { flunk }, parent: -> { flunk })
    while_another_holds_it { assert_raises(SystemExit) { fork { Scenario.exit(1) } } }
    assert_equal [:prepare, false], ran
    assert free?(lock)
  end

  # It goes on with the fork, of which whoever unregisters a hook there waits for the end.
  def test_a_child_that_a_trap_makes_while_a_fork_waits
    AtFork.on_error = ->(*) {} # in the trap the lock cannot be waited for
    AtFork.register_lock(lock)
    inner = :none
    status = nil
    hook = AtFork.register(priority: -1, prepare: lambda {
      next if AtFork.generation.zero?

      thread = Thread.new { hook.unregister }
      wait_until { thread.stop? }
      status = thread.status
    })
    before = trap("USR1") { inner = fork }
    outer = nil
    while_another_holds_it do |leave|
      Thread.new do
        wait_until { Thread.main.status == "sleep" }
        Process.kill("USR1", Process.pid)
        wait_until { inner != :none }
        leave << true
      end
      outer = fork
      finish { outer && assert_equal("sleep", status) && passed(outer) } if inner.nil? || outer.nil?
    end
    [outer, inner].each { |pid| passed(pid) }
  ensure
    trap("USR1", before)
  end

  # Nothing is held, and nobody is prepared, when it is killed.
  def test_a_fork_that_is_killed_while_it_waits
    other = make
    ran = []
    AtFork.register_lock(other, priority: 1)
    AtFork.register_lock(lock)
    AtFork.register(priority: 2, prepare: -> { ran << :prepare }, parent: -> { ran << :parent })
    assert_nil holding(lock, ->(forker) { forker.kill.join }) { flunk }
    assert_equal %i[prepare parent], ran
    assert free?(other) && free?(lock)
  end

  scenario "lock-twice"
  def test_registered_twice
    hooks = Array.new(2) { AtFork.register_lock(lock) }
    in_child { refute mine? }
    refute mine?
    assert hooks.all?(&:unregister)
  end
end

# Ruby's plain lock.
class TestMutex < ForkTest
  include LockTests

  def make
    Thread::Mutex.new
  end

  def synchronize(&block)
    lock.synchronize(&block)
  end

  def mine?
    lock.owned?
  end

  def try
    lock.try_lock
  end
end

# One that a thread may take more than once.
class TestMonitor < ForkTest
  include LockTests

  def make
    Monitor.new
  end

  def synchronize(&block)
    lock.synchronize(&block)
  end

  def mine?
    lock.mon_owned?
  end

  def try
    lock.mon_try_enter
  end
end

# Any object that has become one.
class TestMonitorMixin < TestMonitor
  def make
    [].extend(MonitorMixin)
  end
end

# What is no lock.
class TestNoLock < ForkTest
  scenario "lock-refused"
  def test_refused
    before = AtFork.hooks
    [nil, 3, Thread::Queue.new, Object.new, Thread::Mutex].each do |lock|
      error = assert_raises(TypeError) { AtFork.register_lock(lock) }
      assert_equal "lock must be a Mutex or a Monitor, not #{lock.class}", error.message
    end
    assert_raises(ArgumentError) { AtFork.register_lock }
    assert_raises(ArgumentError) { AtFork.register_lock(Thread::Mutex.new, priority: 40_000) }
    assert_equal before, AtFork.hooks
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

# Forks in fibers, with callbacks that switch to others.
class TestFibers < ForkTest
  def setup
    super
    @trace = []
  end

  def note(phase)
    @trace << [phase, Fiber.current.object_id]
  end

  # How often each fiber had each phase.
  def phases_of(fibers)
    fibers.map { |fiber| @trace.select { |_, id| id == fiber.object_id }.map(&:first).tally }
  end

  scenario "overlapping-forks"
  def test_each_prepare_has_its_parent
    AtFork.register(prepare: -> { note(:prepare) && Fiber.yield }, parent: -> { note(:parent) }, child: -> { note(:child) })
    pids = []
    fibers = Array.new(2) { Fiber.new { pids << fork { finish { assert_equal 1, @trace.count { |phase, _| phase == :child } } } } }
    fibers.each(&:resume)
    assert_equal [{ prepare: 1 }] * 2, phases_of(fibers)
    fibers.each(&:resume)
    assert_equal [{ prepare: 1, parent: 1 }] * 2, phases_of(fibers)
    pids.each { |pid| passed(pid) }
  end

  # Whichever goes on first.
  scenario "prepared-overlapping"
  def test_each_parent_is_of_its_own_fork
    AtFork.on_error = ->(*) {}
    told = {}
    number = 0
    AtFork.register(prepare: -> { (number += 1).tap { Fiber.yield } == 1 && raise("the first") },
                    parent: -> { Fiber.yield || told[Fiber.current.object_id] = AtFork.prepared })
    fibers = Array.new(2) { Fiber.new { passed(fork { Scenario.exit(PASSED) }) } }
    [0, 1, 1, 0, 1, 0].each { |i| fibers[i].resume }
    assert_equal([false, true], fibers.map { |fiber| told[fiber.object_id] })
  end

  # The other fiber is in the child too, and its fork goes on there when it does.
  scenario "overlapping-fork-in-child"
  def test_the_other_ones_fork_goes_on_in_a_child
    AtFork.register(prepare: -> { note(:prepare) && Fiber.yield }, parent: -> { note(:parent) }, child: -> { note(:child) })
    below = Fiber.new { passed(fork { Scenario.exit(PASSED) }) }
    other = Fiber.new do
      passed(fork do
        finish do
          below.resume
          assert_equal [{ prepare: 1, parent: 1 }, { prepare: 1, child: 1 }], phases_of([below, other])
        end
      end)
    end
    [below, other].each(&:resume)
    other.resume
    assert_equal [{ prepare: 1 }, { prepare: 1, parent: 1 }], phases_of([below, other])
    below.resume
  end

  def test_unregistered_while_another_fiber_forks
    hook = AtFork.register(prepare: -> { note(:prepare) && Fiber.yield }, parent: -> { note(:parent) })
    fiber = Fiber.new { passed(fork { Scenario.exit(PASSED) }) }
    fiber.resume
    assert hook.unregister
    fiber.resume
    assert_equal [{ prepare: 1, parent: 1 }], phases_of([fiber])
  end

  # Unregister is final there, too.
  def test_unregister_in_a_child_waits_for_the_other_fibers_fork
    hook = AtFork.register(prepare: -> { note(:prepare) && Fiber.yield }, parent: -> { note(:parent) })
    below = Fiber.new { passed(fork { Scenario.exit(PASSED) }) }
    other = Fiber.new do
      passed(fork do
        finish do
          ender = Thread.new { hook.unregister && note(:gone) }
          wait_until { ender.status == "sleep" }
          below.resume
          ender.join
          assert_equal %i[prepare prepare parent gone], @trace.map(&:first)
        end
      end)
    end
    [below, other].each(&:resume)
    other.resume
    below.resume
  end

  # The least that a scheduler can do: whoever waits for a lock lets the others run.
  class Scheduler
    def initialize
      @ready = []
    end

    def fiber(&block)
      Fiber.new(blocking: false, &block).tap(&:resume)
    end

    def block(_blocker, _timeout = nil)
      Fiber.yield
      true
    end

    def unblock(_blocker, fiber)
      @ready << fiber
    end

    def kernel_sleep(_duration = nil)
      @ready << Fiber.current
      Fiber.yield
    end

    def io_wait(_io, events, _timeout)
      events
    end

    def close
      while (fiber = @ready.shift) do fiber.resume end
    end
  end

  # As three workers of one server's may.
  def check_lock_of_scheduler(locked)
    Thread.new do
      Fiber.set_scheduler(Scheduler.new)
      3.times do
        Fiber.schedule do
          pid = fork { Scenario.exit(locked.call ? 1 : PASSED) }
          passed(pid)
          @trace << :forked
        end
      end
    end.join
    assert_equal [:forked] * 3, @trace
    refute locked.call
  end

  scenario "lock-overlapping"
  def test_three_fibers_fork_with_a_lock
    mutex = Thread::Mutex.new
    AtFork.register(prepare: -> { mutex.lock }, parent: -> { mutex.unlock }, child: -> { mutex.unlock })
    AtFork.register(priority: -1, prepare: -> { sleep })
    check_lock_of_scheduler(-> { mutex.owned? })
  end

  scenario "lock-overlapping"
  def test_three_fibers_fork_with_a_registered_lock
    mutex = Thread::Mutex.new
    AtFork.register_lock(mutex)
    AtFork.register(priority: -1, prepare: -> { sleep })
    check_lock_of_scheduler(-> { mutex.owned? })
  end

  def test_a_lock_that_another_fiber_holds
    mutex = Thread::Mutex.new
    AtFork.register_lock(mutex)
    errors = []
    AtFork.on_error = ->(error, _, phase) { errors << [error.message[/deadlock/i], phase] }
    fiber = Fiber.new { mutex.synchronize { Fiber.yield } }
    fiber.resume
    in_child do
      assert_predicate mutex, :locked?
      fiber.resume
      refute_predicate mutex, :locked?
    end
    assert_predicate mutex, :locked?
    fiber.resume
    assert_equal([["deadlock", :prepare]], errors.map { |message, phase| [message.downcase, phase] })
  end
end

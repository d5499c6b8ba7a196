# frozen_string_literal: true

# SPDX-License-Identifier: MIT

# What callbacks may do, and what threads do meanwhile.
class TestCallbacks < ForkTest
  def test_start_threads
    values = []
    start = -> { values << Thread.new { AtFork.generation }.value }
    AtFork.register(prepare: start, parent: start, child: start)
    in_child { assert_equal [0, 1], values }
    assert_equal [0, 0], values
  end

  scenario "change-in-each-phase"
  def test_register_and_unregister_in_each_phase
    ran = []
    change = lambda do
      hook = AtFork.register_after_fork { ran << :never }
      Thread.new { hook.unregister }.join
      AtFork.register_after_fork { ran << :later }
    end
    AtFork.register(prepare: change, parent: change, child: change)
    in_child do
      assert_empty ran
      in_child { assert_equal %i[later later], ran }
    end
    assert_empty ran
    in_child { assert_equal %i[later later], ran }
  end

  scenario "unregister-all-in-child"
  def test_unregister_all_in_child
    ran = []
    hooks = Array.new(3) { |i| AtFork.register_after_fork { hooks.each(&:unregister) && ran << i } }
    in_child do
      assert_equal [0, 1, 2], ran
      in_child { assert_equal [0, 1, 2], ran }
    end
  end

  scenario "fork-in-each-phase"
  def test_fork_in_each_phase
    lineages = []
    AtFork.register(
      prepare: -> { AtFork.generation.zero? && lineages.empty? && (lineages << "in prepare") && in_child {} },
      parent: -> { lineages == ["in prepare"] && (lineages << "in parent") && in_child {} },
      child: -> { lineages << AtFork.lineage }
    )
    in_child { assert_equal AtFork.lineage, lineages.last }
    assert_equal ["in prepare", "in parent"], lineages
  end

  PHASES = %i[prepare parent child].freeze

  # What is no error: it goes on from `fork` when all the hooks have run, and each prepare has its parent.
  PHASES.each do |phase|
    define_method("test_throw_in_#{phase}") do
      trace = []
      pid = nil
      AtFork.register(phase => -> { throw :out, :thrown })
      AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent }, child: -> { trace << :child })
      process = Process.pid
      result = catch(:out) { pid = fork { Scenario.exit(1) } }
      finish { assert_equal [%i[prepare child], :thrown], [trace, result] } if Process.pid != process
      assert_equal %i[prepare parent], trace
      assert_equal [], trace - PHASES
      phase == :child ? passed(pid) : assert_equal(:thrown, result)
      Process.wait if phase == :parent
      assert_raises(Errno::ECHILD) { Process.wait }
    end

    define_method("test_exit_in_#{phase}") do
      trace = []
      AtFork.register(phase => -> { exit(PASSED) })
      AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent }, child: -> { trace << :child })
      expected = { prepare: %i[prepare parent], parent: %i[prepare parent], child: %i[prepare child] }.fetch(phase)
      process = Process.pid
      begin
        pid = fork { Scenario.exit(PASSED) }
        passed(pid)
      rescue SystemExit => e
        assert_equal expected, trace unless Process.pid != process
        Scenario.exit(trace == expected ? e.status : 1) if Process.pid != process
        Process.wait if phase == :parent
      end
      assert_raises(Errno::ECHILD) { Process.wait }
    end

    define_method("test_exit_at_once_in_#{phase}") do
      passed(fork do
        AtFork.register(phase => -> { exit!(PASSED) })
        below = fork { exit!(1) }
        Scenario.exit(Scenario.wait(below))
      end)
    end

    scenario "errors-in-each-phase"
    define_method("test_raise_in_#{phase}") do
      errors = []
      AtFork.on_error = ->(error, hook) { errors << [error.message, hook.name] }
      AtFork.register(name: "bad", phase => -> { raise Exception, "of no class in particular" })
      trace = []
      AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent }, child: -> { trace << :child })
      in_child { assert_equal %i[prepare child], trace }
      assert_equal %i[prepare parent], trace
      seen = phase == :child ? [] : [["of no class in particular", "bad"]]
      assert_equal seen, errors
    end
  end

  def test_the_end_of_the_thread
    trace = []
    AtFork.register(prepare: -> { Thread.exit })
    AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent })
    AtFork.register(parent: -> { trace << :last })
    Thread.new { fork { Scenario.exit(1) } }.join
    assert_equal %i[prepare parent last], trace
    assert_raises(Errno::ECHILD) { Process.wait }
  end

  SOON = PATIENCE / 60.0 # s, after which a fork is in the middle of a callback

  def test_a_timeout_in_a_callback
    trace = []
    queue = Thread::Queue.new
    AtFork.register(prepare: -> { queue.pop })
    AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent })
    assert_raises(Timeout::Error) { Timeout.timeout(SOON) { fork { Scenario.exit(1) } } }
    assert_equal %i[prepare parent], trace
  end

  # There callbacks run as a job of Ruby's, which would lose it.
  def test_a_timeout_in_a_callback_after_a_fork_by_c
    AtFork.register(parent: -> { Thread::Queue.new.pop })
    pid = nil
    forks = proc do
      pid = Scenario.fork_with_gvl("fork")
      Scenario.exit(PASSED) if pid.zero?
      sleep PATIENCE # less, if the timeout is not lost
    end
    assert_raises(Timeout::Error) { Timeout.timeout(SOON, &forks) }
    passed(pid)
  end
  remove_method :test_a_timeout_in_a_callback_after_a_fork_by_c unless defined?(Timeout::ExitException) # or it throws, which a job loses
end

# Forks, and the threads around them.
class TestThreads < ForkTest
  # Busy with locks, memory and output while another forks.
  def busy
    stop = false
    threads = Array.new(3) do
      Thread.new { AtFork.register_after_fork {}.unregister until stop }
    end
    yield
  ensure
    stop = true
    threads.each(&:join)
  end

  def test_any_thread_forks_while_others_run
    trace = Hash.new(0)
    AtFork.register(prepare: -> { trace[[:prepare, Thread.current]] += 1 },
                    parent: -> { trace[[:parent, Thread.current]] += 1 },
                    child: -> { trace[[:child, Thread.current]] += 1 })
    busy do
      threads = Array.new(3) do
        Thread.new do
          10.times do
            pid = fork do
              finish do
                assert_equal 1, trace[[:child, Thread.current]]
                assert_equal 1, trace[[:prepare, Thread.current]] - trace[[:parent, Thread.current]]
                assert_equal 1, Thread.list.size
                AtFork.register_after_fork {}.unregister
              end
            end
            passed(pid)
          end
        end
      end
      threads.each do |thread|
        thread.join
        assert_equal [10, 10], [trace[[:prepare, thread]], trace[[:parent, thread]]]
      end
    end
  end

  # Forks in a thread whose prepare waits until the block has looked.
  def while_a_fork_waits(hook)
    waiting = Thread::Queue.new
    go_on = Thread::Queue.new
    AtFork.register(priority: 1, prepare: -> { waiting << true && go_on.pop })
    hook = hook.call
    thread = Thread.new { fork { Scenario.exit(PASSED) } }
    waiting.pop
    yield hook, go_on
    passed(thread.value)
  end

  # Unregister is final, as it is in C.
  scenario "unregister-waits"
  def test_unregister_waits_for_a_fork_in_another_thread
    trace = []
    register = -> { AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent }) }
    while_a_fork_waits(register) do |hook, go_on|
      ender = Thread.new { hook.unregister && trace << :gone }
      wait_until { ender.status == "sleep" }
      assert_empty trace
      go_on << true
      ender.join
      assert_equal %i[prepare parent gone], trace
    end
  end

  scenario "unregister-waits-for-its-own"
  def test_unregister_waits_for_no_fork_that_is_none_of_its
    while_a_fork_waits(-> {}) do |_, go_on|
      assert AtFork.register_after_fork {}.unregister
      go_on << true
    end
  end

  # The thread that forked is gone in the other's child, and so is its fork.
  scenario "unregister-in-child"
  def test_unregister_in_a_child_waits_for_no_lost_fork
    while_a_fork_waits(-> { AtFork.register_after_fork {} }) do |hook, go_on|
      pid = Scenario.fork_with_gvl("fork")
      finish { assert hook.unregister } if pid.zero?
      passed(pid)
      go_on << true
    end
  end

  def test_a_fork_by_c_while_a_fork_waits
    ran = 0
    while_a_fork_waits(-> { AtFork.register_after_fork { ran += 1 } }) do |_, go_on|
      pid = Scenario.fork_with_gvl("fork")
      finish { assert_equal 1, ran } if pid.zero?
      passed(pid)
      go_on << true
    end
  end
end

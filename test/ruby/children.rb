# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# How children of a program with hooks end, and what they can do: what Ruby's own tests check of fork.
class TestChildren < ForkTest
  def trace
    @trace ||= [].tap do |phases|
      AtFork.register(
        prepare: -> { phases << :prepare }, parent: -> { phases << :parent }, child: -> { phases << :child },
      )
    end
  end

  ENDINGS = {
    "falls through" => [0, -> {}],
    "exit" => [3, -> { exit(3) }],
    "exit!" => [4, -> { exit!(4) }],
    "abort" => [1, -> { abort }],
    "raise" => [1, -> { raise "in the child" }],
    "throw" => [1, -> { throw :nowhere }],
    "at_exit" => [5, -> { at_exit { exit(5) } }],
    "killed" => [1009, -> { Process.kill(:KILL, Process.pid) && sleep }],
  }.freeze

  scenario "exit-status"
  def test_end_as_the_program_says
    trace
    ENDINGS.each do |name, (status, ending)|
      trace.clear
      pid = fork do
        $stderr.reopen(File::NULL)
        ending.call
      end
      assert_equal status, Scenario.wait(pid), name
      assert_equal %i[prepare parent], trace, name
    end
  end

  # Ruby forks once for each, or twice before 3.3; each daemon has run the hook once more than the one before it.
  def test_become_daemons_twice
    reader, writer = IO.pipe
    pid = fork do
      ran = 0
      AtFork.register_after_fork { ran += 1 }
      2.times do
        Process.daemon(true, true)
        writer.puts("#{ran} #{AtFork.generation}")
      end
      writer.flush
      Scenario.exit(0)
    end
    writer.close
    assert_equal RUBY_VERSION < "3.3" ? ["1 3\n", "2 5\n"] : ["1 2\n", "2 3\n"], reader.read.lines
    Process.wait(pid)
  end

  NO_PID = <<~RUBY
    Process.singleton_class.prepend(Module.new do
      def _fork
        return super if @forks

        @forks = true
        "no pid"
      end
    end)
  RUBY

  FORKS = <<~RUBY
    phases = []
    AtFork.register(prepare: -> { phases << "prepare" }, parent: -> { phases << "parent" }, child: -> { phases << "child" })
    begin
      fork
    rescue TypeError
      puts phases.join(" ")
      phases.clear
    end
    $stdout.flush
    Process.wait(fork { puts phases.last })
    puts phases.join(" "), AtFork.generation
  RUBY

  # There is no fork, and no callback runs, whichever of the two was loaded first.
  def test_a_gem_gives_no_pid
    [[NO_PID, 'require "atfork";'], ['require "atfork";', NO_PID]].each do |loads|
      text, status = Open3.capture2e("ruby", "-e", loads.join + FORKS)
      assert_predicate status, :success?, text
      assert_equal ["", "child", "prepare parent", "0"], text.lines(chomp: true)
    end
  end

  # Before 3.3 Ruby's fork lost it in the parent, too.
  def test_have_no_pending_interrupt
    seen = []
    AtFork.register_after_fork { seen << Thread.pending_interrupt? }
    Thread.handle_interrupt(RuntimeError => :never) do
      Thread.current.raise(RuntimeError, "for the parent")
      in_child { assert_equal [[false], false], [seen, Thread.pending_interrupt?] }
      assert_predicate Thread, :pending_interrupt? if RUBY_VERSION >= "3.3"
    end
  rescue RuntimeError => e
    assert_equal "for the parent", e.message
  end

  # The parent is a process of its own, as a thread of the VM may take a signal when the last child has ended.
  scenario "signals-meanwhile"
  def test_tell_their_parent_by_signals
    in_child do
      trace
      told = 0
      trap("USR1") { told += 1 }
      parent = Process.pid
      pids = Array.new(100) { fork { finish { Process.kill("USR1", parent) } } }
      pids.each { |pid| passed(pid) }
      wait_until { told.positive? }
      assert_equal %i[prepare parent] * 100, trace
    end
  end

  # What held up the parent's threads holds up nobody there.
  def test_use_a_queue
    queue = Thread::Queue.new
    seen = []
    AtFork.register_after_fork { seen << queue.num_waiting << (queue << :child).pop }
    threads = Array.new(2) { Thread.new { queue.pop } }
    wait_until { queue.num_waiting == 2 }
    in_child { assert_equal [0, :child], seen }
    2.times { queue << :parent }
    assert_equal %i[parent parent], threads.map(&:value)
  end

  def test_fork_in_fibers_of_fibers
    trace
    Fiber.new do
      in_child do
        Fiber.new do
          in_child do
            1000.times { Fiber.new { Fiber.yield }.resume }
            GC.start
            assert_equal %i[prepare child prepare child], trace
          end
        end.resume
        assert_equal %i[prepare child prepare parent], trace
      end
    end.resume
    assert_equal %i[prepare parent], trace
  end

  def weak_of_a_cycle
    hook = nil
    hook = AtFork.register_after_fork { hook }
    weak = ObjectSpace::WeakMap.new
    weak[hook] = true
    GC.start
    kept = weak.size
    hook.unregister
    [weak, kept]
  end

  scenario "cycle-let-go"
  def test_a_callback_that_refers_to_its_hook
    weak, kept = Thread.new { weak_of_a_cycle }.value
    assert_equal 1, kept
    10.times { GC.start }
    assert_equal 0, weak.size
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Every way to a new process that Ruby and C have.
require "pty"
require "socket"

class TestWays < ForkTest
  # A hook that writes down its phases.
  def trace
    @trace ||= [].tap do |trace|
      AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent }, child: -> { trace << :child })
    end
  end

  FORKS = {
    fork: -> { fork },
    process_fork: -> { Process.fork },
    kernel_fork: -> { Kernel.fork },
    underscore_fork: -> { Process._fork.then { |pid| pid.zero? ? nil : pid } },
    method_object: -> { Process.method(:fork).call },
    send: -> { Process.public_send(:fork) },
  }.freeze

  FORKS.each do |name, way|
    scenario "own-fork-calls"
    define_method("test_paired_by_#{name}") do
      trace
      pid = way.call
      finish { assert_equal %i[prepare child], trace } if pid.nil?
      passed(pid)
      assert_equal %i[prepare parent], trace
    end
  end

  def test_paired_by_popen
    trace
    text = IO.popen("-") do |io|
      io ? io.read : $stdout.print(trace.inspect).then { $stdout.flush && Scenario.exit(0) }
    end
    assert_equal "[:prepare, :child]", text
    assert_equal %i[prepare parent], trace
  end

  scenario "in-coroutine"
  def test_in_a_fiber
    trace
    fiber = Fiber.new do
      in_child do
        assert_equal %i[prepare child], trace
        assert_equal 1, Fiber.new { Fiber.yield 1 }.resume
      end
      Fiber.yield :parent
      :end
    end
    assert_equal :parent, fiber.resume
    assert_equal :end, fiber.resume
    assert_equal %i[prepare parent], trace
  end

  def test_in_an_enumerator
    trace
    pids = Enumerator.new { |yielder| 2.times { yielder << fork { finish { assert_equal :child, trace.last } } } }
    2.times { passed(pids.next) }
    assert_equal %i[prepare parent] * 2, trace
  end

  # There no lock may be waited for.
  scenario "in-signal-handler"
  def test_in_a_trap
    trace
    done = Thread::Queue.new
    value = AtFork.per_process { AtFork.lineage }
    before = trap("USR1") do
      AtFork.register_after_fork {}.unregister
      done << [fork { finish { assert_equal [%i[prepare child], AtFork.lineage], [trace, value.value] } }, value.value]
    rescue Exception => e # rubocop:disable Lint/RescueException
      done << e
    end
    Process.kill("USR1", Process.pid)
    pid, lineage = done.pop
    assert_kind_of Integer, pid
    assert_equal "0", lineage
    passed(pid)
    assert_equal %i[prepare parent], trace
  ensure
    trap("USR1", before)
  end

  def test_in_at_exit
    reader, writer = IO.pipe
    pid = fork do
      trace
      at_exit do
        passed(fork { finish { assert_equal %i[prepare child], trace } })
        writer.print(trace.inspect)
      end
    end
    writer.close
    assert_equal "[:prepare, :parent]", reader.read
    Process.wait(pid)
  end

  # Ruby is no more, and its callbacks with it; those in C run.
  scenario "fork-at-exit"
  def test_after_the_end_of_ruby
    pid = fork do
      trace
      AtFork.register_after_fork(AtFork.symbol(Scenario::LIBRARY, "scenario_count"))
      Scenario.fork_at_exit
    end
    passed(pid)
  end

  def test_open3_and_pty_are_no_forks
    trace
    assert_equal "x\n", Open3.capture2("echo x")[0]
    assert_equal ["x\n", "y\n"], Open3.capture3("echo x; echo y >&2")[0..1]
    assert_equal "x\r\n", PTY.spawn("echo x") { |output, _, pid| break output.gets.tap { Process.wait(pid) } }
    assert_equal "x\n", IO.popen("echo x", &:read)
    assert_empty trace
    assert_equal 0, AtFork.generation
  end

  # The standard server of a process a connection.
  def test_a_forking_server
    trace
    server = TCPServer.new("127.0.0.1", 0)
    client = Thread.new { TCPSocket.open("127.0.0.1", server.addr[1], &:read) }
    socket = server.accept
    pid = fork { finish { socket.write(trace.inspect) } }
    socket.close
    assert_equal "[:prepare, :child]", client.value
    passed(pid)
  ensure
    server&.close
  end
end

# Forks by C code, of which Ruby knows nothing.
class TestWaysOfC < ForkTest
  %w[fork _Fork syscall clone].each do |way|
    define_method("test_with_the_gvl_by_#{way}") do
      ran = 0
      AtFork.register_after_fork { ran += 1 }
      pid = Scenario.fork_with_gvl(way)
      if pid.zero?
        finish do
          AtFork.poll if bypasses?(way)
          assert_equal [1, 1], [ran, AtFork.generation]
        end
      end
      passed(pid)
      assert_equal 0, ran
    end

    define_method("test_in_a_thread_of_ruby_by_#{way}") do
      ran = 0
      AtFork.register_after_fork { ran += 1 }
      Thread.new do
        in_child(way) do
          AtFork.poll if bypasses?(way)
          assert_equal 1, ran
        end
      end.join
    end
  end

  # Has a thread wait with a lock held.
  def with_a_thread
    lock = Thread::Mutex.new
    thread = Thread.new { lock.synchronize { sleep } }
    wait_until { thread.status == "sleep" && lock.locked? }
    yield lock
  ensure
    thread.kill.join
  end

  # Or they would be listed, hold their locks, and `exit` would wait for them.
  scenario "lost-threads"
  def test_lost_threads_are_known_to_be
    threads = nil
    AtFork.register_after_fork { threads = Thread.list.size }
    with_a_thread do |lock|
      random = Random.rand(2**64)
      pid = Scenario.fork_with_gvl("fork")
      if pid.zero?
        Scenario.exit(1) unless threads == 1 && lock.try_lock && Random.rand(2**64) != random
        Thread.new { Thread.pass }.join
        at_exit { Scenario.exit(PASSED) }
        exit
      end
      passed(pid)
    end
  end

  def test_lost_threads_after_a_poll
    AtFork.register_after_fork {}
    with_a_thread do |lock|
      pid = Scenario.fork_with_gvl("_Fork")
      if pid.zero?
        finish do
          assert_equal 1, AtFork.poll
          assert_equal 1, Thread.list.size
          assert lock.try_lock
        end
      end
      passed(pid)
    end
  end

  RUBY_AFTER_FORK = Fiddle::Function.new(Fiddle.dlopen(nil)["rb_thread_atfork"], [], Fiddle::TYPE_VOID, need_gvl: true)

  # A process that polls late may have threads of its own.
  def test_a_late_poll_leaves_threads_alone
    AtFork.register_after_fork {}
    pid = Scenario.fork_with_gvl("_Fork")
    if pid.zero?
      finish do
        RUBY_AFTER_FORK.call
        queue = Thread::Queue.new
        thread = Thread.new { queue.pop }
        wait_until { thread.status == "sleep" }
        assert_equal 1, AtFork.poll
        queue << :alive
        assert_equal :alive, thread.value
      end
    end
    passed(pid)
  end

  # At a fork's beginning.  Ruby 3.1 cannot go through with it in such a process.
  scenario "missed-before-next-fork"
  def test_what_was_missed_runs_before_a_fork
    ran = 0
    AtFork.register_after_fork { ran += 1 }
    AtFork.register(prepare: -> { throw :out, ran })
    in_child("_Fork") { assert_equal(1, catch(:out) { fork }) }
  end

  # In the parent of that, the loop goes on.
  def test_in_a_child_callback
    ran = []
    AtFork.register(parent: -> { ran << :parent })
    AtFork.register_after_fork do
      if AtFork.generation == 1
        pid = Scenario.fork_with_gvl("fork")
        finish { assert_equal %i[late], ran } if pid.zero?
        passed(pid)
      end
    end
    AtFork.register_after_fork { ran << :late }
    in_child { assert_equal %i[parent late], ran }
  end

  # What is no error goes on when all have run, soon after the line that forked.
  def test_exit_in_a_callback
    ran = 0
    AtFork.register_after_fork { exit(PASSED) }
    AtFork.register_after_fork { ran += 1 }
    begin
      pid = Scenario.fork_with_gvl("fork")
      wait_until { false } if pid.zero?
    rescue SystemExit => e
      Scenario.exit(ran == 1 ? e.status : 1)
    end
    passed(pid)
  end

  def test_parent_without_prepare
    trace = []
    AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :with_prepare })
    AtFork.register(parent: -> { trace << :parent })
    2.times do
      pid = Scenario.fork_with_gvl("fork")
      Scenario.exit(PASSED) if pid.zero?
      passed(pid)
    end
    assert_equal %i[parent parent], trace
  end

  # Those that are made while a job runs wait for the next one together.
  def test_each_fork_that_waits_is_told_of
    fork_in_c = lambda do
      pid = Scenario.fork_with_gvl("fork")
      Scenario.exit(PASSED) if pid.zero?
      passed(pid)
    end
    trace = []
    AtFork.register(parent: -> { trace << :a && trace.size == 1 && 3.times { fork_in_c.call } })
    AtFork.register(parent: -> { trace << :b })
    fork_in_c.call
    AtFork.poll
    assert_equal({ a: 4, b: 4 }, trace.tally)
  end

  # Its child goes on with the fork around it, and may be a parent as well.
  %i[prepare parent].product(%w[fork _Fork syscall clone]) do |phase, way|
    define_method("test_a_#{phase}_in_c_that_forks_by_#{way}") do
      ran = 0
      AtFork.register_after_fork { ran += 1 }
      AtFork.register(phase => AtFork.symbol(Scenario::LIBRARY, "scenario_fork_inside", Fiddle::Pointer[way]))
      pid = fork
      if pid.nil? || AtFork.generation.positive?
        finish do
          AtFork.poll
          assert_equal 1, ran
          passed(pid) if pid && phase == :prepare
        end
      end
      passed(pid)
      assert_equal [0, PASSED], [ran, Scenario.noted]
    end
  end

  # A child of it is no parent of its own siblings.
  scenario "parent-not-childs"
  def test_what_a_parent_is_due_is_not_its_childs
    parents = children = 0
    AtFork.register(parent: -> { parents += 1 }, child: -> { children += 1 })
    pid = Scenario.fork_with_gvl("fork")
    finish { assert_equal [0, 1], [parents, children] } if pid.zero?
    passed(pid)
    in_child { assert_equal [1, 1], [parents, children] }
  end
end

# For a Ractor that forks: until the main thread sleeps, in `take`.  Ruby 3.1 has a lock for all Ractors that it does not make
# free in a child: if the main one has it when another forks, the child waits for ever, with or without a hook.
def wait_for_main_ractor
  asleep = 0
  asleep = File.read("/proc/self/task/#{Process.pid}/stat")[/\) S /] ? asleep + 1 : 0 until asleep == 10
end

# In 3.1, a child of a Ractor can end by exit! only: without any hook, too, `exit` fails there with a [BUG].  Each case has a
# process of its own, as one that has had Ractors differs for good.
class TestRactor < ForkTest
  # Runs the block in a Ractor, and hands what it returned to `check`.
  def in_ractor(block, check)
    in_child do
      Warning[:experimental] = false
      check.call(Ractor.new(&block).take)
    end
  end

  def test_child_runs_before_the_block
    ran = 0
    AtFork.register(prepare: -> { ran += 10 if AtFork.generation == 1 }, child: -> { ran += 1 if AtFork.generation == 2 })
    AtFork.register_after_fork { $ran = ran } # rubocop:disable Style/GlobalVars
    body = lambda do
      wait_for_main_ractor
      Process.wait(fork { exit!($ran) }) # rubocop:disable Style/GlobalVars
      $?.exitstatus
    end
    in_ractor(body, ->(status) { assert_equal [1, 0], [status, ran] })
  end

  # At a poll at the latest: the main Ractor may be asleep.
  def test_parent_runs_in_the_main_one
    where = []
    AtFork.register(parent: -> { where << [Ractor.current.equal?(Ractor.main), AtFork.generation] })
    AtFork.register(prepare: -> {}, parent: -> { where << :unprepared if AtFork.generation == 1 })
    body = lambda do
      wait_for_main_ractor
      Process.wait(fork { exit!(0) })
    end
    in_ractor(body, lambda do |_|
      AtFork.poll
      assert_equal [[true, 1]], where
    end)
  end

  def test_its_child_forks_as_any_other
    trace = []
    AtFork.register(prepare: -> { trace << :prepare }, parent: -> { trace << :parent }, child: -> { trace << :child })
    AtFork.register(priority: 1, child: -> { $trace = trace.clear if AtFork.generation == 1 }) # rubocop:disable Style/GlobalVars
    body = lambda do
      wait_for_main_ractor
      pid = fork do
        Process.wait(fork { exit!($trace == %i[child prepare child] ? 42 : 1) }) # rubocop:disable Style/GlobalVars
        exit!($trace == %i[child prepare parent] ? $?.exitstatus : 2) # rubocop:disable Style/GlobalVars
      end
      Process.wait(pid)
      $?.exitstatus
    end
    in_ractor(body, ->(status) { assert_equal PASSED, status })
  end

  def test_state_may_be_asked_in_it
    ask = lambda do
      [AtFork.generation, AtFork.lineage, AtFork.place, AtFork.run, AtFork.seed, AtFork.seed(1, bits: 128),
       AtFork.seed_bytes(1, 8), AtFork.child_token(AtFork.token, 1).class]
    end
    in_ractor(ask, ->(state) { assert_equal ask.call, state })
  end

  scenario "interpreters"
  def test_hooks_are_the_main_ones
    body = lambda do
      calls = [-> { AtFork.register_after_fork {} }, -> { AtFork.register(child: -> {}) }, -> { AtFork.poll },
               -> { AtFork.on_error }, -> { AtFork.on_error = nil },
               -> { AtFork.hooks }, -> { AtFork.symbol(nil, "abort") }, -> { AtFork.per_process {}.value }]
      calls.map do |call|
        call.call
      rescue StandardError => e
        [e.class, e.message]
      end
    end
    message = "hooks belong to the main Ractor: in other Ractors, only places and seeds may be asked for"
    in_ractor(body, lambda do |errors|
      assert_equal [Ractor::UnsafeError] * 8, errors.map(&:first)
      assert_equal [message] * 5, errors.first(5).map(&:last)
    end)
  end
end

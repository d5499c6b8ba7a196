# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Minitest's results in the Test Anything Protocol, and the helpers of its tests.
require "fiddle"
require "minitest"
require "open3"
require "timeout"

# Seconds until a wait is given up; script/test says how many times as long things take here as on an idle machine.
PATIENCE = 60 * ENV.fetch("ATFORK_TEST_SLOWNESS", "1").to_i

# One line a case, in the order of their runs.
class TapReporter < Minitest::AbstractReporter
  def initialize(io)
    super()
    @io = io
    @pid = Process.pid
    @count = 0
    @failed = false
  end

  def record(result)
    @count += 1
    @failed = true unless result.passed? || result.skipped?
    skip = result.skipped? ? " # SKIP #{result.failure.message}" : ""
    @io.puts("#{result.passed? || result.skipped? ? "ok" : "not ok"} #{@count} - #{result.class_name}.#{result.name}#{skip}")
    result.failures.each { |failure| @io.puts(failure.to_s.gsub(/^/, "# ")) } unless result.skipped?
    @io.flush
  end

  def report
    @io.puts("1..#{@count}")
  end

  def passed?
    !@failed
  end
end

# The functions of scenario.h.
module Scenario
  LIBRARY = ENV.fetch("SCENARIO_LIBRARY")
  HANDLE = Fiddle.dlopen(LIBRARY)
  INT = Fiddle::TYPE_INT
  POINTER = Fiddle::TYPE_VOIDP

  def self.function(name, arguments, result = INT, as: name, need_gvl: false)
    callable = Fiddle::Function.new(HANDLE["scenario_#{name}"], arguments, result, need_gvl: need_gvl)
    define_singleton_method(as) { |*values| callable.call(*values) }
  end

  function :fork, [POINTER] # as an extension does that lets other threads run meanwhile
  function :fork, [POINTER], as: :fork_with_gvl, need_gvl: true
  function :wait, [INT]
  function :exit, [INT], Fiddle::TYPE_VOID
  function :fork_in_thread, [POINTER]
  function :fork_at_exit, []
  function :spawn, []
  function :forbid_forks, [INT]
  function :counted, []
  function :noted, []
  function :resident, []
  function :counted_by_fork, [], need_gvl: true
end

# How in_child may fork.
WAYS = %w[ruby fork _Fork syscall clone].freeze

def bypasses?(way)
  !%w[ruby fork].include?(way)
end

# Which rows of test/scenarios.md the next case shows, by their ids.
module Shows
  CASES = Hash.new([]) # [the module that defines it, its name] => ids

  class << self
    attr_accessor :next
  end

  def scenario(*ids)
    raise "a scenario without a case: #{Shows.next}" if Shows.next

    Shows.next = ids
  end

  def method_added(name)
    super
    return unless Shows.next
    raise "no case: #{name}" unless name.start_with?("test_")

    CASES[[self, name]] = Shows.next
    Shows.next = nil
  end

  # Of all that would run: the names for test/peers, or the scenarios' ids for test/parity.
  def self.list(suites, names:)
    raise "a scenario without a case: #{Shows.next}" if Shows.next
    return puts(suites.flat_map { |suite| suite.runnable_methods.map { |name| "#{suite}.#{name}" } }) if names

    cases = suites.flat_map { |suite| suite.runnable_methods.map { |name| suite.instance_method(name) } }
    puts(cases.flat_map { |method| CASES[[method.owner, method.name]] })
  end
end

# What the cases have in common.
class ForkTest < Minitest::Test
  extend Shows
  PASSED = 42

  # Everything that a case has registered and still holds, or anything else does.
  def setup
    @before = AtFork.hooks.map(&:id)
    @errors = []
    AtFork.on_error = ->(error, _) { @errors << error }
  end

  def teardown
    ObjectSpace.each_object(AtFork::Hook) { |hook| hook.unregister unless @before.include?(hook.id) }
    AtFork.on_error = nil
    check_errors
  end

  # An assertion in a callback is an error of the callback's.
  def check_errors
    raise @errors.first unless @errors.empty?
  end

  # Runs the block in a child made by `way`: Ruby's own fork, or one of scenario.h in C.
  def in_child(way = "ruby", &body)
    pid = way == "ruby" ? fork : Scenario.fork(way)
    return passed(pid) unless pid.nil? || pid.zero?

    finish(&body)
  end

  # In a child: the case's verdict is its exit status.
  def finish
    yield
    check_errors
    Scenario.exit(PASSED)
  rescue Exception => e
    $stderr.puts("in a child: #{e.full_message(highlight: false)}")
    $stderr.flush
    Scenario.exit(1)
  end

  def passed(pid)
    assert_equal(PASSED, Scenario.wait(pid), "exit status of child #{pid}")
  end

  # What a Ruby of its own writes that runs `code`: for what a process can do only once.
  def in_ruby(code, *options)
    text, status = Open3.capture2e("ruby", *options, "-ratfork", "-e", code)
    assert_predicate status, :success?, text
    text
  end

  # What a child wrote to stderr.
  def stderr_of(&body)
    reader, writer = IO.pipe
    pid = fork do
      $stderr.reopen(writer)
      reader.close
      finish(&body)
    end
    writer.close
    text = reader.read
    passed(pid)
    text
  end
end

# A bounded wait for what no pipe tells of.  Not by Timeout: since Ruby 3.2 its thread stays, and wakes up for each
# call.  It may then have the GVL when C code forks without it, and the child would wait for that thread for ever.
def wait_until
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PATIENCE
  until yield
    raise "waited in vain" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

    Thread.pass
  end
end

# Minitest.autorun would run at exit, in each child too.
def run_tests
  # A name, or /a part of it/; Minitest 6 calls the option `include`, and the method `run_suite`.
  options = ARGV.empty? ? {} : { filter: ARGV[0], include: ARGV[0] }
  run = Minitest::Runnable.respond_to?(:run_suite) ? :run_suite : :run
  Minitest.seed = 1
  suites = Minitest::Runnable.runnables.reject { |suite| suite == ForkTest }
  return Shows.list(suites, names: ENV["ATFORK_TEST_LIST"] == "names") if ENV["ATFORK_TEST_LIST"]

  reporter = TapReporter.new($stdout)
  suites.each { |suite| suite.public_send(run, reporter, options) }
  reporter.report
  $stdout.flush
  Scenario.exit(reporter.passed? ? 0 : 1)
end

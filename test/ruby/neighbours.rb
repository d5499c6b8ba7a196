# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Each hook runs once for each fork beside other code that changes fork, loaded before or after atfork.

# Refines what its file calls as `fork`.
module RefinedFork
  refine Kernel do
    def fork
      super
    end
  end

  refine Process.singleton_class do
    def fork
      super
    end
  end
end

# Calls `fork` where it is refined.
module RefinedCaller
  using RefinedFork

  def self.forks
    [-> { fork }, -> { Process.fork }]
  end
end

# Others that have to do with forks.  Each case has a Ruby of its own, as what is prepended stays.
class TestNeighbours < ForkTest
  # What a gem does, and what it writes.
  GEM = <<~RUBY
    $stdout.sync = true
    def gem_named(name)
      Process.singleton_class.prepend(Module.new do
        define_method(:_fork) do
          puts "\#{name} before"
          pid = super()
          puts "\#{name} \#{pid.zero? ? "child" : "parent"}"
          pid
        end
      end)
    end

    def hooks
      AtFork.register(prepare: -> { puts "prepare" }, parent: -> { puts "parent" }, child: -> { puts "child" })
    end

    def child_and_parent
      reader, writer = IO.pipe
      pid = fork do
        reader.close
        puts "block"
      end
      writer.close
      reader.read
      Process.wait(pid)
    end
  RUBY

  # The lines of the parent, and those of the child.
  def lines_of(code, *options)
    text = in_ruby(GEM + code, *options)
    text.lines(chomp: true).partition { |line| !line.match?(/child|block/) }
  end

  scenario "in-step"
  def test_a_gem_that_prepends_after
    parent, child = lines_of("hooks; gem_named('gem'); child_and_parent")
    assert_equal ["gem before", "prepare", "parent", "gem parent"], parent
    assert_equal ["child", "gem child", "block"], child
  end

  # What is prepended to Process._fork comes around our callbacks, whoever was first.
  scenario "in-step"
  def test_a_gem_that_prepends_before
    code = "gem_named('gem'); require 'atfork'; hooks; child_and_parent"
    text, status = Open3.capture2e("ruby", "-e", GEM + code)
    assert_predicate status, :success?, text
    assert_equal ["child", "gem child", "block"], text.lines(chomp: true).grep(/child|block/)
    assert_equal ["gem before", "prepare", "parent", "gem parent"], text.lines(chomp: true).grep_v(/child|block/)
  end

  def test_a_gem_that_forks_twice
    text = in_ruby(GEM + <<~RUBY)
      Process.singleton_class.prepend(Module.new do
        def _fork
          first = super
          exit!(0) if first.zero?
          Process.wait(first)
          super
        end
      end)
      hooks
      child_and_parent
    RUBY
    lines = text.lines(chomp: true)
    assert_equal({ "prepare" => 2, "parent" => 2, "child" => 2, "block" => 1 }, lines.tally)
    assert_operator lines.index("child"), :<, lines.rindex("prepare")
  end

  # Its child callback runs in a process that is put right, and forks on.
  def test_a_gem_whose_callback_forks_by_c
    text = in_ruby(GEM + <<~RUBY)
      require "fiddle"
      FORK = Fiddle::Function.new(Fiddle.dlopen(nil)["fork"], [], Fiddle::TYPE_INT, need_gvl: true)
      Process.singleton_class.prepend(Module.new do
        def _fork
          pid = super
          return pid unless pid.zero?

          below = FORK.call
          puts "ran in \#{AtFork.lineage}: \#{$ran.inspect}"
          exit!(0) if below.zero?
          Process.wait(below)
          pid
        end
      end)
      $ran = []
      AtFork.register_after_fork { $ran << AtFork.lineage }
      child_and_parent
    RUBY
    assert_equal ["block", 'ran in 0.1.1: ["0.1", "0.1.1"]', 'ran in 0.1: ["0.1"]'], text.lines(chomp: true).sort
  end

  def test_refined_callers
    ran = 0
    AtFork.register_after_fork { ran += 1 }
    RefinedCaller.forks.each do |way|
      pid = way.call
      finish { assert_equal 1, ran } if pid.nil?
      passed(pid)
    end
  end

  [%w[active_support/fork_tracker atfork], %w[atfork active_support/fork_tracker]].each do |first, second|
    define_method("test_fork_tracker_with_#{first.tr("/", "_")}_first") do
      skip "ActiveSupport is not installed" if Gem.find_files("active_support/fork_tracker.rb").empty?
      code = <<~RUBY
        require "active_support"
        require "#{first}"
        require "#{second}"
        ActiveSupport::ForkTracker.after_fork { puts "tracker in the child" }
        hooks
        2.times { child_and_parent }
        pid = fork
        if pid.nil?
          puts "block"
          exit!(0)
        end
        Process.wait(pid)
      RUBY
      text, status = Open3.capture2e("ruby", "-e", GEM + code)
      assert_predicate status, :success?, text
      lines = text.lines(chomp: true)
      assert_equal ["child", "tracker in the child", "block"] * 3, lines.grep(/child|block/)
      assert_equal %w[prepare parent] * 3, lines.grep_v(/child|block/)
    end
  end

  # Without one, what is due after a fork by C would never run.
  def test_no_room_for_a_postponed_job
    code = <<~RUBY
      require "fiddle"
      preregister = Fiddle::Function.new(Fiddle.dlopen(nil)["rb_postponed_job_preregister"],
                                         [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)
      (1..).find { |i| preregister.call(0, i, nil) == -1 }
      begin
        require "atfork"
      rescue LoadError => e
        puts e.message
      end
    RUBY
    text, status = Open3.capture2e("ruby", "-e", code)
    assert_predicate status, :success?, text
    assert_equal "atfork needs a postponed job, and other extensions have used all that Ruby has\n", text
  end
  remove_method :test_no_room_for_a_postponed_job if RUBY_VERSION < "3.3" # which has room for any

  def test_process_warmup
    skip "Ruby has none before 3.3" unless Process.respond_to?(:warmup)
    ran = 0
    AtFork.register_after_fork { ran += 1 }
    Process.warmup
    in_child { assert_equal 1, ran }
  end

  def test_without_a_warning
    assert_empty in_ruby("AtFork.register_after_fork {}; Process.wait(fork {})", "-w")
  end

  # As a reloader does.
  scenario "loaded-twice"
  def test_loaded_twice
    text = in_ruby(<<~RUBY, "-W0")
      ran = 0
      AtFork.register_after_fork { ran += 1 }
      load($LOADED_FEATURES.find { |path| path.end_with?("/atfork.rb") })
      $stdout.sync = true
      Process.wait(fork { puts ran })
      AtFork.register_after_fork { ran += 10 }
      Process.wait(fork { puts ran })
    RUBY
    assert_equal "1\n11\n", text
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Promise 17: workers that are spawned, and take their place by a token; and those that a launcher has numbered.
require "digest"
require "rbconfig"

class TestPlaces < ForkTest
  # What a new Ruby prints; `token` is given as ARGV[0], and `env` is its environment's.
  def spawn(code, token: nil, env: {})
    text, status = Open3.capture2e(env, RbConfig.ruby, "-ratfork", "-e", code, *token)
    assert_predicate status, :success?, text
    text
  end

  STATE = "print [AtFork.lineage, AtFork.generation, AtFork.seed(1)].inspect"

  scenario "token-place", "token-argument"
  def test_the_place_that_a_fork_would_have
    in_child do
      tokens = Array.new(2) { AtFork.token }
      found = tokens.map { |token| spawn("AtFork.spawned(ARGV[0]); #{STATE}", token: token) }
      found.each_with_index do |text, i|
        assert_match(/\A\["#{Regexp.escape(AtFork.lineage)}\.#{i + 1}", 2, \d+\]\z/, text)
      end
      refute_includes found.join, in_child_lineage
    end
  end

  def in_child_lineage
    reader, writer = IO.pipe
    in_child { writer.puts("\"#{AtFork.lineage}\"") }
    reader.gets.chomp
  end

  scenario "token-environment"
  def test_by_the_environment
    code = 'AtFork.spawned; print AtFork.generation, ENV.key?("ATFORK_TOKEN"), `echo "[$ATFORK_TOKEN]"`'
    assert_equal "1false[]\n", spawn(code, env: { "ATFORK_TOKEN" => AtFork.token })
  end

  scenario "token-hooks-once"
  def test_child_callbacks_run_in_order_and_once
    code = <<~RUBY
      $ran = []
      AtFork.register(name: "late", priority: 1, prepare: -> { $ran << :prepare }, parent: -> { $ran << :parent },
                      child: -> { $ran << [:late, AtFork.generation, AtFork.prepared] })
      AtFork.register(child: -> { $ran << :early })
      AtFork.spawned(ARGV[0])
      AtFork.register_after_fork { $ran << :after }
      AtFork.poll
      print $ran.inspect
    RUBY
    assert_equal "[:early, [:late, 1, false]]", spawn(code, token: AtFork.token)
  end

  # It was not forked from this VM.
  def test_ruby_is_told_of_no_fork
    code = "AtFork.register_after_fork {}; srand(5); expected = Random.new(5).rand(2**64); " \
           "AtFork.spawned(ARGV[0]); print rand(2**64) == expected"
    assert_equal "true", spawn(code, token: AtFork.token)
  end

  scenario "token-per-process"
  def test_per_process_is_made_anew
    code = "value = AtFork.per_process { AtFork.lineage }; before = value.value; AtFork.spawned(ARGV[0]); " \
           "print [before, value.value == AtFork.lineage].inspect"
    assert_equal '["0", true]', spawn(code, token: AtFork.token)
  end

  # No process above this one made it.
  def test_what_was_made_before_is_finalised_as_ever
    code = "maker = proc { Object.new.tap { |it| ObjectSpace.define_finalizer(it, proc { print 'gone' }) } }; " \
           "value = AtFork.per_process(&maker); value.value; AtFork.spawned(ARGV[0])"
    assert_equal "gone", spawn(code, token: AtFork.token)
  end

  def error_of(argument, **options)
    spawn("begin; AtFork.spawned(#{argument}); rescue => e; print e.class, ': ', e.message; end", **options)
  end

  scenario "token-refused"
  def test_what_is_no_token
    none = "ArgumentError: the token was not made by atfork"
    assert_equal "ArgumentError: there is no token: ATFORK_TOKEN is not set", error_of("", env: { "ATFORK_TOKEN" => nil })
    assert_equal none, error_of("", env: { "ATFORK_TOKEN" => "rubbish" })
    assert_equal none, error_of("'rubbish'")
    assert_equal none, error_of("ARGV[0].chop", token: AtFork.token)
    assert_equal "TypeError: token must be a String or nil, not Integer", error_of("3")
    assert_match(/\AArgumentError: /, error_of('"a\0b"'))
  end

  scenario "token-once"
  def test_once_only
    known = "RuntimeError: this process was forked by a process that had atfork, or has taken a place before"
    assert_equal known, error_of("(AtFork.spawned(ARGV[0]); ARGV[0])", token: AtFork.token)
    in_child do
      error = assert_raises(RuntimeError) { AtFork.spawned(AtFork.token) }
      assert_equal known, "RuntimeError: #{error.message}"
    end
  end
end

# Workers that a launcher has numbered.
class TestAdopt < ForkTest
  LAUNCHERS = %w[SLURM_PROCID PMIX_RANK OMPI_COMM_WORLD_RANK PMI_RANK RANK JOB_COMPLETION_INDEX].to_h { |name| [name, nil] }.freeze
  STATE = "print [AtFork.lineage, AtFork.generation, AtFork.place].inspect"

  def ruby(code, env = {})
    text, status = Open3.capture2e(LAUNCHERS.merge(env), RbConfig.ruby, "-ratfork", "-e", code)
    assert_predicate status, :success?, text
    text
  end

  def error_of(call, env = {})
    ruby("begin; #{call}; rescue => e; print e.class, ': ', e.message; end", env)
  end

  scenario "adopt-place"
  def test_by_a_number
    [3, "3"].each { |rank| assert_equal '["0.r3", 1, :adopted]', ruby("AtFork.adopt(#{rank.inspect}); #{STATE}") }
    assert_equal '["0.r18446744073709551615", 1, :adopted]', ruby("AtFork.adopt(2**64 - 1); #{STATE}")
  end

  scenario "adopt-launcher"
  def test_by_the_launcher
    env = { "OMPI_COMM_WORLD_RANK" => "5", "OMPI_COMM_WORLD_SIZE" => "8" }
    assert_equal '["0.r5", 1, :adopted]', ruby("AtFork.adopt; #{STATE}", env)
  end

  def test_its_children
    code = "AtFork.adopt(3); $stdout.sync = true; 2.times { Process.wait(fork { #{STATE} }) }"
    assert_equal '["0.r3.1", 2, :forked]["0.r3.2", 2, :forked]', ruby(code)
  end

  def test_child_callbacks_run_in_order_and_once
    code = <<~RUBY
      $ran = []
      AtFork.register(priority: 1, prepare: -> { $ran << :prepare }, child: -> { $ran << [AtFork.lineage, AtFork.prepared] })
      AtFork.register(child: -> { $ran << :early })
      AtFork.adopt(3)
      AtFork.poll
      print $ran.inspect
    RUBY
    assert_equal '[:early, ["0.r3", false]]', ruby(code)
  end

  def test_per_process_is_made_anew_and_the_old_value_is_its_own
    code = <<~RUBY
      value = AtFork.per_process { AtFork.lineage.tap { |it| ObjectSpace.define_finalizer(it, proc { print "gone " }) } }
      value.value
      AtFork.adopt(3)
      print value.value, " "
    RUBY
    assert_equal "0.r3 gone gone ", ruby(code)
  end

  scenario "adopt-refused"
  def test_what_is_no_rank
    ["", "x", "-1", "07", "1 ", 2**64, -1].each do |rank|
      assert_equal "ArgumentError: rank must be a decimal number below 2^64 without leading zeros, not #{rank}", error_of("AtFork.adopt(#{rank.inspect})")
    end
    assert_equal "TypeError: rank must be an Integer, a String or nil, not Float", error_of("AtFork.adopt(1.0)")
    assert_equal "ArgumentError: no launcher has numbered this process: give its rank", error_of("AtFork.adopt")
  end

  scenario "adopt-refused"
  def test_launchers_that_disagree
    env = { "OMPI_COMM_WORLD_RANK" => "5", "OMPI_COMM_WORLD_SIZE" => "8", "RANK" => "4", "WORLD_SIZE" => "8" }
    assert_equal "ArgumentError: launchers give different ranks, or no number: OMPI_COMM_WORLD_RANK=5 RANK=4", error_of("AtFork.adopt", env)
  end

  def test_once_only
    known = "RuntimeError: this process was forked by a process that had atfork, or has taken a place before"
    assert_equal known, error_of("AtFork.adopt(1); AtFork.adopt(1)")
    in_child { assert_equal known.delete_prefix("RuntimeError: "), assert_raises(RuntimeError) { AtFork.adopt(1) }.message }
  end
end

# AtFork.place, and who is told that it is a guess.
class TestPlace < ForkTest
  GUESS = "atfork: this process does not know its place in the tree of processes, as atfork was loaded after the fork: " \
          "its seeds may be those of other processes.  Load atfork before the fork, or call AtFork.adopt with this " \
          "worker's number"

  # What a Ruby prints that loads atfork in a child.
  def loaded_late(code)
    text, status = Open3.capture2e(RbConfig.ruby, "-e", "$stdout.sync = true; Process.wait(fork { require 'atfork'; #{code} })")
    assert_predicate status, :success?, text
    text
  end

  scenario "place-words"
  def test_by_each_way
    assert_equal :root, AtFork.place
    in_child { assert_equal :forked, AtFork.place }
    assert_equal "spawned", in_ruby("AtFork.spawned('#{AtFork.token}'); print AtFork.place")
  end

  def test_a_guess
    assert_equal "unknown", loaded_late("print AtFork.place")
  end

  scenario "place-guess"
  def test_a_guess_is_told_once_in_each_process
    text = loaded_late("AtFork.seed; AtFork.seed_bytes(1); Process.wait(fork { AtFork.seed(1); AtFork.seed(2) })")
    assert_equal ["-e:1: warning: #{GUESS}"] * 2, text.lines(chomp: true).map { |line| line.sub(/:in .*: warning/, ": warning") }
  end

  def test_no_guess_when_a_place_is_taken
    assert_equal "adopted", loaded_late("AtFork.adopt(1); AtFork.seed; print AtFork.place")
    assert_equal "spawned", loaded_late("AtFork.spawned('#{AtFork.token}'); AtFork.seed; print AtFork.place")
  end

  def test_nobody_else_is_told
    assert_equal "", in_ruby("AtFork.seed; AtFork.lineage; Process.wait(fork { AtFork.seed_bytes(8) })")
    assert_equal "0", loaded_late("print AtFork.lineage")
  end
end

# AtFork.run.
class TestRun < ForkTest
  scenario "run-in-all"
  def test_the_same_in_all_of_a_tree
    run = AtFork.run
    assert_includes 0...(2**64), run
    in_child { assert_equal run, AtFork.run }
    assert_equal run, Integer(in_ruby("AtFork.spawned('#{AtFork.token}'); print AtFork.run"))
  end

  def test_another_in_another_tree
    assert_equal 3, [AtFork.run, *Array.new(2) { Integer(in_ruby("print AtFork.run")) }].uniq.size
  end

  scenario "run-repeated"
  def test_by_the_environment
    code = "print AtFork.run, ' ', AtFork.seed == AtFork.seed(12)"
    ["12", "0xc"].each do |run|
      text, = Open3.capture2e({ "ATFORK_RUN" => run }, RbConfig.ruby, "-ratfork", "-e", code)
      assert_equal "12 true", text
    end
  end
end

# AtFork.child_token.
class TestChildToken < ForkTest
  scenario "child-token"
  def test_the_place_of_a_worker_s_worker
    token = AtFork.token
    own = in_ruby("AtFork.spawned('#{token}'); print AtFork.lineage")
    found = in_ruby("AtFork.spawned('#{AtFork.child_token(token, 7)}'); print AtFork.lineage, ' ', AtFork.generation")
    assert_equal "#{own}.7 2", found
  end

  def test_bad_arguments
    token = AtFork.token
    { [token, 0] => ArgumentError, [token, 2**64] => ArgumentError, ["x", 1] => ArgumentError, ["#{token}x", 1] => ArgumentError,
      [nil, 1] => TypeError, [token, 1.0] => TypeError }.each do |arguments, error|
      assert_raises(error, arguments.inspect) { AtFork.child_token(*arguments) }
    end
  end
end

# Seeds of other sizes.
class TestSeeds < ForkTest
  # MGF1 (RFC 8017, B.2.1) with SHA-256.
  def bytes_of(base, lineage, size)
    from = "atfork1:seed:#{[base & ((2**64) - 1)].pack("Q<")}#{lineage}".b
    (0..(size / 32)).map { |i| Digest::SHA256.digest(from + [i].pack("N")) }.join[0, size]
  end

  scenario "seed-vector", "seed-bytes-vector"
  def test_seed_bytes
    [0, 42, -1, 2**63, (2**64) - 1].product([0, 1, 31, 32, 33, 100, 8192]) do |base, size|
      assert_equal bytes_of(base, "0", size), AtFork.seed_bytes(base, size)
    end
    in_child { assert_equal bytes_of(42, AtFork.lineage, 64), AtFork.seed_bytes(42, 64) }
    assert_equal Encoding::BINARY, AtFork.seed_bytes(42, 8).encoding
  end

  scenario "seed-of-run"
  def test_of_this_run
    assert_equal AtFork.seed_bytes(AtFork.run, 40), AtFork.seed_bytes(40)
    assert_equal AtFork.seed_bytes(AtFork.run, 40), AtFork.seed_bytes(nil, 40)
    assert_equal AtFork.seed(AtFork.run), AtFork.seed
    assert_equal AtFork.seed(AtFork.run, bits: 128), AtFork.seed(nil, bits: 128)
  end

  scenario "seed-bits"
  def test_bits
    word = AtFork.seed(42)
    [1, 31, 32, 63, 64].each { |bits| assert_equal word & ((1 << bits) - 1), AtFork.seed(42, bits: bits) }
    [72, 128, 256, 65_536].each do |bits|
      little = bytes_of(42, "0", bits / 8).bytes.each_with_index.sum { |byte, i| byte << (8 * i) }
      assert_equal little, AtFork.seed(42, bits: bits), bits
      assert_equal little, AtFork.seed(42, bits: 65_536) & ((1 << bits) - 1), bits
    end
  end

  def test_bad_arguments
    { 0 => ArgumentError, -1 => ArgumentError, 65 => ArgumentError, 65_544 => ArgumentError, 1.5 => TypeError, nil => TypeError }.each do |bits, error|
      assert_raises(error) { AtFork.seed(1, bits: bits) }
    end
    { -1 => ArgumentError, 8193 => ArgumentError, 1.5 => TypeError, nil => TypeError }.each do |size, error|
      assert_raises(error) { AtFork.seed_bytes(1, size) }
    end
    assert_raises(TypeError) { AtFork.seed_bytes("1", 8) }
    assert_raises(ArgumentError) { AtFork.seed_bytes(2**64, 8) }
  end
end

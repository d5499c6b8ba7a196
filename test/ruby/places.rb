# frozen_string_literal: true

# SPDX-License-Identifier: MIT
require "rbconfig"

# Workers that are spawned, and take their place by a token.
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
    none = "ArgumentError: the token is not one of atfork's"
    assert_equal "ArgumentError: there is no token: ATFORK_TOKEN is not set", error_of("", env: { "ATFORK_TOKEN" => nil })
    assert_equal none, error_of("", env: { "ATFORK_TOKEN" => "rubbish" })
    assert_equal none, error_of("'rubbish'")
    assert_equal none, error_of("ARGV[0].chop", token: AtFork.token)
    assert_equal "TypeError: token must be a String or nil, not Integer", error_of("3")
    assert_match(/\AArgumentError: /, error_of('"a\0b"'))
  end

  scenario "token-once"
  def test_once_only
    known = "RuntimeError: the place of this process is known: it was forked, or has done this before"
    assert_equal known, error_of("(AtFork.spawned(ARGV[0]); ARGV[0])", token: AtFork.token)
    in_child do
      error = assert_raises(RuntimeError) { AtFork.spawned(AtFork.token) }
      assert_equal known, "RuntimeError: #{error.message}"
    end
  end
end

# Seeds of more bits, and of fewer.
class TestSeedBits < ForkTest
  scenario "seed-vector"
  def test_those_of_other_languages
    assert_equal "0", AtFork.lineage
    assert_equal "e46f74056be507c48aa2a0512cb3625ee86a663e251088c0aaa155968a8f3305", AtFork.seed(42, bits: 256).to_s(16)
  end

  scenario "seed-bits"
  def test_more_begin_with_the_same
    base = 42
    whole = AtFork.seed(base, bits: 65_536)
    [1, 32, 63, 64, 65, 128, 192, 4096, 65_536].each do |bits|
      assert_equal whole & ((1 << bits) - 1), AtFork.seed(base, bits: bits), bits
    end
    assert_equal AtFork.seed(base), AtFork.seed(base, bits: 64)
    assert_equal 64, Array.new(64) { |i| (whole >> (64 * i)) & ((2**64) - 1) }.uniq.size
  end

  # Each half is distinct for bases that are next to each other, and for processes.
  def test_distinct
    halves = ->(seed) { [seed >> 64, seed & ((2**64) - 1)] }
    assert_equal 2000, (0...1000).flat_map { |base| halves[AtFork.seed(base, bits: 128)] }.uniq.size
    mine = halves[AtFork.seed(1, bits: 128)]
    in_child { assert_equal 4, (mine + halves[AtFork.seed(1, bits: 128)]).uniq.size }
  end

  # About half of each word's bits are set.
  def test_each_bit_is_as_good
    ones = (0...256).sum { |base| AtFork.seed(base, bits: 128).digits(2).sum }
    assert_in_delta 128 * 256 / 2, ones, 600
  end

  def test_bad_bits
    { 0 => ArgumentError, -1 => ArgumentError, 65_537 => ArgumentError, 1.5 => TypeError, nil => TypeError }.each do |bits, error|
      assert_raises(error) { AtFork.seed(1, bits: bits) }
    end
  end
end

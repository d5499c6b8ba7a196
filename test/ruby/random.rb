# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# AtFork::Random: numbers of each process's own.
require "atfork/random"

class TestRandom < ForkTest
  # What the block gives here and in two children.
  def everywhere
    [yield, *Array.new(2) { in_a_child { yield } }]
  end

  def in_a_child
    reader, writer = IO.pipe
    in_child do
      writer.write(Marshal.dump(yield))
      writer.close
    end
    writer.close
    Marshal.load(reader.read)
  end

  DRAWS = {
    rand: -> { AtFork::Random.rand(2**64) },
    bytes: -> { AtFork::Random.bytes(8) },
    rng: -> { AtFork::Random.rng.rand(2**64) },
    seed: -> { AtFork::Random.seed },
    hex: -> { AtFork::Random.hex(8) },
    shuffle: -> { (1..40).to_a.shuffle(random: AtFork::Random) },
    object: -> { RANDOM.rand(2**64) },
  }.freeze
  RANDOM = AtFork::Random.new(42)

  DRAWS.each do |name, draw|
    scenario "random-own"
    define_method("test_#{name}_is_another_in_each_process") { assert_equal 3, everywhere(&draw).uniq.size }
  end

  WAYS.each do |way|
    define_method("test_a_child_by_#{way}_begins_a_sequence_of_its_own") do
      RANDOM.rand
      in_child(way) { assert_equal Random.new(AtFork.seed(42, bits: 256)).bytes(100), RANDOM.bytes(100) }
    end
  end

  # A child leaves the parent's sequence where it is.
  def test_a_process_draws_on
    expected = Random.new(AtFork.seed(43, bits: 256))
    random = AtFork::Random.new(43)
    3.times do
      assert_equal expected.rand, random.rand
      in_child { random.rand }
    end
  end

  scenario "random-repeated"
  def test_from_run_to_run
    draw = lambda do |random, run = nil|
      code = "require 'atfork/random'; print #{random}.rand(2**64)"
      Open3.capture2e({ "ATFORK_RUN" => run }, RbConfig.ruby, "-e", code).first
    end
    same, other, fixed = ["AtFork::Random", "AtFork::Random", "AtFork::Random.new(42)"].zip(["7", "8"])
    assert_equal [draw[*same], draw[*fixed]], [draw[*same], draw[*fixed]]
    assert_equal 4, [draw[*same], draw[*other], draw[*fixed], draw["AtFork::Random"]].uniq.size
  end

  def test_of_this_run
    assert_equal AtFork.seed(AtFork.run, bits: 256), AtFork::Random.seed
    in_child { assert_equal AtFork.seed(bits: 256), AtFork::Random.seed }
  end

  def test_two_of_the_same_base_are_alike
    assert_equal AtFork::Random.new.bytes(8), AtFork::Random.new(AtFork.run).bytes(8)
    refute_equal AtFork::Random.new.bytes(8), AtFork::Random.new(AtFork.run ^ 1).bytes(8)
  end

  scenario "random-reseed"
  def test_kernels_generator
    before = Random.seed
    assert_equal AtFork.seed(42, bits: 256), AtFork::Random.reseed(42)
    assert_equal Random.new(AtFork.seed(42, bits: 256)).rand(2**64), rand(2**64)
    AtFork.register_after_fork { AtFork::Random.reseed(42) }
    in_child { assert_equal Random.new(AtFork.seed(42, bits: 256)).rand(2**64), rand(2**64) }
    assert_equal AtFork.seed(bits: 256), AtFork::Random.reseed
  ensure
    srand(before)
  end

  def test_as_random_is
    assert_equal [0, true, true], [AtFork::Random.rand(1), AtFork::Random.rand < 1, (1..6).cover?(AtFork::Random.rand(1..6))]
    assert_raises(ArgumentError) { AtFork::Random.rand(-1) }
    assert_includes 0...10, RANDOM.random_number(10)
    assert_raises(TypeError) { AtFork::Random.new("42").rand }
  end
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "atfork"
require "random/formatter"

module AtFork
  # Random numbers as of +::Random+, with another seed in each process.
  #
  #   AtFork::Random.rand(6)              # differs from process to process, and from run to run
  #   [1, 2, 3].shuffle(random: AtFork::Random)
  #   RANDOM = AtFork::Random.new(42)     # the same from run to run
  #
  # A process goes on with its sequence; each child begins another one.  In one process, two objects with the same base draw
  # the same numbers, and all objects without a base have the same: so give each another base.  For the main Ractor.
  class Random
    # Methods of the class and of its objects.
    module Draws
      include ::Random::Formatter

      # As +::Random#rand+.
      # @return [Integer, Float]
      def rand(...)
        rng.rand(...)
      end

      # @param size [Integer]
      # @return [String] so many random bytes
      def bytes(size)
        rng.bytes(size)
      end

      # The seed of this process's generator.
      # @return [Integer]
      def seed
        rng.seed
      end
    end
    include Draws

    # @param base [Integer, nil] as for AtFork.seed.  nil: AtFork.run
    def initialize(base = nil)
      @generator = AtFork.per_process { ::Random.new(AtFork.seed(base, bits: 256)) }
    end

    # The generator of this process.  Call it again in each process: the result is an ordinary object.
    # @return [::Random]
    def rng
      @generator.value
    end

    DEFAULT = new
    private_constant :DEFAULT

    class << self
      include Draws

      # The generator of this process for the base AtFork.run.
      # @return [::Random]
      def rng
        DEFAULT.rng
      end

      # Seeds Kernel's generator, for +rand+, +shuffle+ and +sample+, in this process only: Ruby seeds it again in each
      # child.  For all of them: <tt>AtFork.register_after_fork { AtFork::Random.reseed }</tt>
      # @param base [Integer, nil] as for AtFork.seed.  nil: AtFork.run
      # @return [Integer] the seed
      def reseed(base = nil)
        AtFork.seed(base, bits: 256).tap { |seed| Kernel.srand(seed) }
      end
    end
  end
end

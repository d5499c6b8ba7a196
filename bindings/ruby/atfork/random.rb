# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "atfork"
require "random/formatter"

module AtFork
  # Random numbers of this process's own: as +::Random+, whose seed is another in each process.
  #
  #   AtFork::Random.rand(6)              # differs from process to process, and from run to run
  #   [1, 2, 3].shuffle(random: AtFork::Random)
  #   RANDOM = AtFork::Random.new(42)     # the same from run to run
  #
  # A process draws on from where it is; each child begins a sequence of its own.  Two of the same base draw the same in one
  # process, and those without one are of the same base: give each its own.  For the main Ractor.
  class Random
    # What the class and its objects have.
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

      # What the generator of this process began with.
      # @return [Integer]
      def seed
        rng.seed
      end
    end
    include Draws

    # @param base [Integer, nil] as for AtFork.seed.  nil: that of AtFork.run
    def initialize(base = nil)
      @generator = AtFork.per_process { ::Random.new(AtFork.seed(base, bits: 256)) }
    end

    # The generator of this process.  Ask again in each process: it is an ordinary object.
    # @return [::Random]
    def rng
      @generator.value
    end

    DEFAULT = new
    private_constant :DEFAULT

    class << self
      include Draws

      # The generator of this process, of the base AtFork.run.
      # @return [::Random]
      def rng
        DEFAULT.rng
      end

      # Seeds Kernel's generator, of +rand+, +shuffle+ and +sample+, in this process alone: Ruby seeds that of each child
      # anew.  For all of them: <tt>AtFork.register_after_fork { AtFork::Random.reseed }</tt>
      # @param base [Integer, nil] as for AtFork.seed.  nil: that of AtFork.run
      # @return [Integer] the seed
      def reseed(base = nil)
        AtFork.seed(base, bits: 256).tap { |seed| Kernel.srand(seed) }
      end
    end
  end
end

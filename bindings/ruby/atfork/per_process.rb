# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # A value that is made once in each process; see AtFork.per_process.
  #
  # The value may be secret: only +value+ shows it.
  class PerProcess
    include Local

    # @param discard [#call, nil] see AtFork.per_process
    # @yieldreturn what becomes the value
    def initialize(discard: nil, &init)
      raise ArgumentError, "a block is required" unless init
      raise TypeError, "discard must respond to call, not #{discard.class}" unless discard.nil? || discard.respond_to?(:call)

      @init = init
      @discard = discard
      @made = nil
      @locks = []
      @reset = Object.new
    end

    # The value of this process.  At the first call the block runs, in one thread; other threads wait for it.  If it raises,
    # the next call tries again.
    #
    # In a +trap+ a thread may not wait: there it raises ThreadError while another thread is making the value.
    def value
      made = @made
      return made[1] if made && made[0] == Native.generation

      make
    end

    # Forgets the value of this process; the next call of +value+ makes another.
    # @return [PerProcess] itself
    def reset
      @reset = Object.new
      @made = nil if made?
      self
    end

    # Shows neither the value nor the variables of its block.  At most 65 characters: Ruby 3.3 omits more in messages.
    # @return [String]
    def inspect
      "#<#{self.class} #{made? ? "" : "not "}made in this process: call .value>"
    end
    alias to_s inspect

    # For ActiveSupport, which would show the instance variables.
    # @return [String]
    def as_json(*)
      inspect
    end

    private

    # For callers that forget +.value+. Ruby 3.4's own message has no +inspect+.
    def method_missing(name, *arguments)
      raise NoMethodError.new("undefined method '#{name}' for #{inspect}", name, arguments, receiver: self)
    end

    def respond_to_missing?(*)
      false
    end

    def made?
      made = @made
      made && made[0] == Native.generation
    end

    # A thread is not interrupted between taking and releasing the lock, except where the block allows it.
    def make
      lock = lock_of_this_process
      Thread.handle_interrupt(Object => :on_blocking) do
        lock.try_lock || lock.lock
        begin
          Thread.handle_interrupt(Object => :immediate) { make_once }
        ensure
          lock.unlock
        end
      end
    end

    # If a thread of the parent held a lock, no thread releases it after a fork by C code; so each process has its own.  If
    # two threads add one at once, both use the first.
    def lock_of_this_process
      generation = Native.generation
      2.times do
        _, lock = @locks.find { |of, _| of == generation }
        return lock if lock

        @locks << [generation, Thread::Mutex.new]
      end
    end

    # If the block has forked, this may be the child: then the value belongs to this process.
    def make_once
      return @made[1] if made?

      leave_inherited
      reset = @reset
      value = @init.call
      @made = [Native.generation, value, Native.keep(value)].freeze if reset.equal?(@reset)
      value
    end

    # Without +discard+ the parent's value is kept for good.
    def leave_inherited
      _, value, kept = @made
      @made = nil
      return if kept.nil? || @discard.nil?

      discard(value)
      Native.let_go(kept)
    end

    def discard(value)
      @discard.call(value)
    rescue *Phase.leaving
      raise
    rescue Exception => e # rubocop:disable Lint/RescueException
      FORKS.report(e, nil, :discard)
    end
  end
end

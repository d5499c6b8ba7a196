# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # An attempt to fork, in this process.
  # @api private
  class Walk
    # The lock that was taken, and its hook.
    Refusal = Struct.new(:lock, :hook)

    attr_reader :thread, :given_up, :refusal
    attr_accessor :table, :generation # of the attempt, when it is one

    # given_up:: locks that cannot be waited for
    # prepared:: whether +prepare+ runs; not for a fork that C code made
    def initialize(given_up = [], prepared: true)
      @thread = Thread.current
      @given_up = given_up
      @prepared = prepared
      @over = Thread::Queue.new
      @failed = nil
      @locked = {}.compare_by_identity
      @refusal = nil
      @table = nil # the hooks that take part
    end

    def end
      @over.close
    end

    def wait
      @over.pop
    end

    # Whether a callback of the hook may run here.
    def may_run?(hook)
      @table.nil? || @table.include?(hook)
    end

    # The hook's +prepare+ did not return.
    def failed(hook)
      (@failed ||= {}.compare_by_identity)[hook] = true
    end

    # Whether it ran, and returned.
    def prepared?(hook)
      @prepared && Native.prepares(hook) && !@failed&.key?(hook)
    end

    # The lock of this hook is taken.
    def refuse(lock, hook)
      @refusal = Refusal.new(lock, hook)
    end

    # What tells the hooks that were prepared that it comes to nothing.  A +prepare+ that is written in C, and would have run
    # inside fork(2), did not.
    # @return [Phase]
    def not_forked
      @table.hooks.each { |hook| failed(hook) if Native.prepares(hook) && !Native.callable(hook, 0) }
      @table.taken_back(@refusal&.hook)
    end

    # Notes that this fork has taken a lock.
    def lock(lock)
      @locked[lock] = true
    end

    # Whether it had; from then on it has not.
    def unlock?(lock)
      @locked.delete(lock) ? true : false
    end

    # Lets go of all that it has.
    def unlock
      @locked.shift.first.unlock until @locked.empty?
    end

    # What another fork has taken is this one's to let go of.
    def inherit(other)
      @locked.merge!(other.locked)
      other.locked.clear
    end

    protected

    attr_reader :locked
  end
  private_constant :Walk
end

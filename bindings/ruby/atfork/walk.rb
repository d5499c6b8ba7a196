# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # One attempt to fork, in this process.
  # @api private
  class Walk
    # The lock that was taken, and its hook.
    Refusal = Struct.new(:lock, :hook)

    attr_reader :thread, :given_up, :refusal
    attr_accessor :table, :generation # of the attempt

    # given_up:: locks that cannot be waited for
    # prepared:: whether +prepare+ runs; false for a fork that C code made
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

    # Whether the hook's +prepare+ ran, and returned.
    def prepared?(hook)
      @prepared && Native.prepares(hook) && !@failed&.key?(hook)
    end

    # Notes that another thread has the lock of this hook.
    def refuse(lock, hook)
      @refusal = Refusal.new(lock, hook)
    end

    # The parent phase for the prepared hooks when fork(2) is not reached.  A +prepare+ in C would have run inside fork(2),
    # so it did not run.
    # @return [Phase]
    def not_forked
      @table.hooks.each { |hook| failed(hook) if Native.prepares(hook) && !Native.callable(hook, 0) }
      @table.taken_back(@refusal&.hook)
    end

    # Notes that this fork has taken a lock.
    def lock(lock)
      @locked[lock] = true
    end

    # Forgets the lock; true if this fork had taken it.
    def unlock?(lock)
      @locked.delete(lock) ? true : false
    end

    # Releases all locks that it has taken.
    def unlock
      @locked.shift.first.unlock until @locked.empty?
    end

    # Takes over the locks of another fork, to release them.
    def inherit(other)
      @locked.merge!(other.locked)
      other.locked.clear
    end

    protected

    attr_reader :locked
  end
  private_constant :Walk
end

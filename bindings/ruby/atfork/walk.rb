# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # A fork under way in this process.
  # @api private
  class Walk
    attr_reader :thread, :table, :locked
    attr_accessor :generation

    # table:: of the hooks that take part
    # prepared:: whether their +prepare+ runs; not for a fork that C code made
    def initialize(table, prepared: true)
      @thread = Thread.current
      @table = table
      @prepared = prepared
      @generation = Native.generation
      @over = Thread::Queue.new
      @failed = nil
      @locked = nil
    end

    def end
      @over.close
    end

    def wait
      @over.pop
    end

    # The hook's +prepare+ did not return.
    def failed(hook)
      (@failed ||= {}.compare_by_identity)[hook] = true
    end

    # Whether it ran, and returned.
    def prepared?(hook)
      @prepared && Native.prepares(hook) && !@failed&.key?(hook)
    end

    # Nothing is forked: a +prepare+ that is written in C, and would run inside fork(2), did not.
    def not_forked
      @table.hooks.each { |hook| failed(hook) if Native.prepares(hook) && !Native.callable(hook, 0) }
    end

    # Notes that this fork has taken a lock.
    def lock(lock)
      (@locked ||= {}.compare_by_identity)[lock] = true
    end

    # Whether it had; from then on it has not.
    def unlock?(lock)
      @locked&.delete(lock) ? true : false
    end

    # What another fork has taken is this one's to let go of.
    def inherit(other)
      other.locked&.each_key { |taken| lock(taken) }
    end
  end
  private_constant :Walk
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # A Mutex or a Monitor that is held across forks; see AtFork.register_lock.
  # @api private
  class Lock
    # The method names of each kind: is it this thread's, take it if it is free, take it, release it.
    MUTEX = %i[owned? try_lock lock unlock].freeze
    MONITOR = %i[mon_owned? mon_try_enter mon_enter mon_exit].freeze
    PASSES = 10
    private_constant :MUTEX, :MONITOR, :PASSES

    def initialize(lock)
      @calls = [MONITOR, MUTEX].find { |calls| calls.all? { |name| lock.respond_to?(name) } }
      raise TypeError, "lock must be a Mutex or a Monitor, not #{lock.class}" unless @calls

      @lock = lock
    end

    # If the forking thread has the lock itself, perhaps in a +trap+, it keeps the lock in both processes.
    #
    # It does not wait here: the thread that has the lock may wait for a lock that this fork holds.  It only yields a few
    # times, so that a running thread can reach the end of its section.
    def prepare
      owned, try, = @calls
      run = Run.current
      return if @lock.public_send(owned) || run.walk.given_up.include?(self)

      taken = PASSES.times.any? do
        uninterrupted { @lock.public_send(try) && run.walk.lock(self) } || Thread.pass
      end
      run.refuse(self) unless taken
    end

    # Waits until the walk has the lock; it holds nothing else.
    def wait(walk)
      uninterrupted do
        @lock.public_send(@calls[2])
        walk.lock(self)
      end
    end

    # Called after the fork, in both processes.
    def release
      unlock if Run.current.walk.unlock?(self)
    end

    def unlock
      @lock.public_send(@calls.last)
    end

    private

    # No interrupts between taking the lock and noting it, except while it waits.
    def uninterrupted(&block)
      Thread.handle_interrupt(Object => :on_blocking, &block)
    end
  end
  private_constant :Lock
end

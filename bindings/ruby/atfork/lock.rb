# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # A Mutex or a Monitor that is held across forks; see AtFork.register_lock.
  # @api private
  class Lock
    # What each kind calls it: is it this thread's, take it if it is free, take it, let go.
    MUTEX = %i[owned? try_lock lock unlock].freeze
    MONITOR = %i[mon_owned? mon_try_enter mon_enter mon_exit].freeze
    PASSES = 10
    private_constant :MUTEX, :MONITOR, :PASSES

    def initialize(lock)
      @calls = [MONITOR, MUTEX].find { |calls| calls.all? { |name| lock.respond_to?(name) } }
      raise TypeError, "lock must be a Mutex or a Monitor, not #{lock.class}" unless @calls

      @lock = lock
    end

    # A thread that forks inside its own section, in a +trap+ perhaps, goes on there in both processes.
    #
    # It does not wait here: another thread may have the lock, and wait for one that this fork holds already.  But a thread
    # that needs no more than the processor to come to the end of its section gets it.
    def prepare
      owned, try, = @calls
      run = Run.current
      return if @lock.public_send(owned) || run.walk.given_up.include?(self)

      taken = PASSES.times.any? do
        uninterrupted { @lock.public_send(try) && run.walk.lock(self) } || Thread.pass
      end
      run.refuse(self) unless taken
    end

    # Until it is the walk's, which holds nothing else.
    def wait(walk)
      uninterrupted do
        @lock.public_send(@calls[2])
        walk.lock(self)
      end
    end

    # After it, in both processes.
    def release
      unlock if Run.current.walk.unlock?(self)
    end

    def unlock
      @lock.public_send(@calls.last)
    end

    private

    # Between the lock and the note of it, but while it waits.
    def uninterrupted(&block)
      Thread.handle_interrupt(Object => :on_blocking, &block)
    end
  end
  private_constant :Lock
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # A phase that runs: its current callback, and its fork.  Each fiber has a reference to its innermost one, so a callback
  # can ask about its hook's +prepare+.
  # @api private
  class Run
    KEY = :atfork_run
    private_constant :KEY

    # The one whose callback this fiber runs, or nil.
    def self.current
      Thread.current[KEY]
    end

    # The fork.
    attr_reader :walk

    # callables:: the callables of the phase, or a copy that a fork in a callback may clear
    def initialize(phase, walk, callables = phase.callables)
      @phase = phase
      @walk = walk
      @callables = callables
      @next = 0
    end

    # Each callback runs, even if another one raises.
    def run(forks)
      outer = Thread.current[KEY]
      Thread.current[KEY] = self
      call_each(forks)
    ensure
      Thread.current[KEY] = outer
    end

    # Empties the list: nothing is left to run.
    def clear
      @callables.clear
    end

    # The lock of the running callback is taken: this callback is the last one.
    def refuse(lock)
      @walk.refuse(lock, hook)
      @next = @callables.size
    end

    # The hook whose callback runs.
    def hook
      @phase.hooks[@next - 1]
    end

    def prepare?
      @phase.name == :prepare
    end

    private

    # An exception that is no error, as from +exit+, is raised again when all have run; a +throw+ goes on by +ensure+.
    #
    # This loop is the whole cost of a hook beyond its callable: it calls no other method.
    def call_each(forks)
      leave = nil
      returned = false
      callables = @callables
      while (callable = callables[@next])
        @next += 1
        begin
          callable.call
        rescue *Phase.leaving => e
          @walk.failed(hook) if prepare?
          leave = e
        rescue Exception => e # rubocop:disable Lint/RescueException
          @walk.failed(hook) if prepare?
          forks.report(e, hook, @phase.name)
        end
      end
      returned = true
      raise leave if leave
    ensure
      go_on_after_throw(forks) unless returned
    end

    def go_on_after_throw(forks)
      @walk.failed(hook) if prepare?
      call_each(forks)
    end
  end
  private_constant :Run
end

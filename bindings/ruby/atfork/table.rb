# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # One phase of a fork: the callables that Ruby calls in it, in order, without C functions.
  # @api private
  class Phase
    attr_reader :name, :hooks, :callables

    # Exceptions that are no error of a callback.  One is Timeout's own; until timeout 0.4 (Ruby 3.3) it used +throw+.
    def self.leaving
      timeout = defined?(::Timeout::ExitException) ? [::Timeout::ExitException] : []
      [SystemExit, SignalException, NoMemoryError, *timeout]
    end

    # hooks:: a hook may occur several times
    # A block gives the callable of a hook, or nil.
    def initialize(name, hooks)
      @name = name
      called = hooks.map { |hook| [hook, yield(hook)] }.select(&:last)
      @hooks = called.map(&:first).freeze
      @callables = called.map { |_, callable| dense(callable) }.freeze
      freeze
    end

    private

    # A copy of a block: copies that are made one after the other lie side by side, and a child starts with cold caches.
    def dense(callable)
      callable.instance_of?(Proc) && callable.singleton_methods(false).empty? ? callable.dup : callable
    end
  end

  # The callbacks of a fork.  It never changes: when hooks change, the next fork makes another table.
  # @api private
  class Table
    attr_reader :state, :hooks, :prepare, :parent, :child

    # state:: the state of the hooks that it was made from
    def initialize(state, hooks)
      @state = state
      @hooks = hooks.sort_by(&:id).freeze
      @prepare = Phase.new(:prepare, @hooks.reverse) { |hook| Native.callable(hook, 0) }
      @parent = parent_of(@hooks)
      @child = child_of(@hooks)
      freeze
    end

    # The child phase of some of the hooks.
    def child_of(hooks)
      Phase.new(:child, hooks) { |hook| Native.callable(hook, 2) }
    end

    # The parent phase of some of the hooks.
    def parent_of(hooks)
      Phase.new(:parent, hooks) { |hook| Native.callable(hook, 1) }
    end

    # The parent phase of a fork that ended before fork(2), where callbacks in C would run.
    # refusing:: the hook at which the prepare phase ended, or nil
    def taken_back(refusing)
      hooks = refusing ? prepared_before(refusing) : @hooks
      Phase.new(:parent, hooks) do |hook|
        Native.callable(hook, 1) || (-> { Native.run_symbol(hook, 1) } if Native.callable(hook, 0))
      end
    end

    def include?(hook)
      @hooks.include?(hook)
    end

    private

    # Without those whose +prepare+ is in C.
    def prepared_before(refusing)
      @hooks.drop(@hooks.index(refusing) + 1).select { |hook| Native.callable(hook, 0) || !Native.prepares(hook) }
    end
  end
  private_constant :Phase, :Table
end

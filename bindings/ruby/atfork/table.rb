# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # One phase of a fork: what Ruby calls in it, in order.  C functions are not among them.
  # @api private
  class Phase
    attr_reader :name, :hooks, :callables

    # Exceptions that are no error of a callback's.  Timeout's own is one: until timeout 0.4 (Ruby 3.3) it threw instead.
    def self.leaving
      timeout = defined?(::Timeout::ExitException) ? [::Timeout::ExitException] : []
      [SystemExit, SignalException, NoMemoryError, *timeout]
    end

    # hooks:: one may stand there several times
    # A block gives the callable of a hook, or nil.
    def initialize(name, hooks)
      @name = name
      called = hooks.map { |hook| [hook, yield(hook)] }.select(&:last)
      @hooks = called.map(&:first).freeze
      @callables = called.map { |_, callable| dense(callable) }.freeze
      freeze
    end

    private

    # A copy of a block: made one after the other, they lie side by side, and a child comes to them with cold caches.
    def dense(callable)
      callable.instance_of?(Proc) && callable.singleton_methods(false).empty? ? callable.dup : callable
    end
  end

  # What a fork runs.  It never changes: when hooks do, the next fork makes another.
  # @api private
  class Table
    attr_reader :state, :hooks, :prepare, :parent, :child

    # state:: which state of the hooks this is of
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

    # The parent phase of a fork that came to nothing before fork(2), where those in C would run.
    # refusing:: the hook that its prepare phase ended at, or nil
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

    # But for those whose +prepare+ is in C.
    def prepared_before(refusing)
      @hooks.drop(@hooks.index(refusing) + 1).select { |hook| Native.callable(hook, 0) || !Native.prepares(hook) }
    end
  end
  private_constant :Phase, :Table
end

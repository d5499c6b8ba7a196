# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # The callbacks of hooks with an owner.  Only the owner refers to this object, and this object to the callbacks.  So the
  # callbacks may refer to the owner without keeping it alive, and are not called when it has been collected.
  # @api private
  class Owner # not a private constant: Marshal looks it up
    # The object in a hook that calls such a callback.
    class Callback
      # Both references are weak.
      OWNERS = ObjectSpace::WeakMap.new
      private_constant :OWNERS

      def initialize(owner)
        OWNERS[self] = owner
      end

      def call
        owner&.callable(self)&.call
      end

      def owner
        OWNERS[self]
      end
    end

    # By owner; a copy of an owner is another object.
    OWNERS = ObjectSpace::WeakMap.new
    private_constant :OWNERS

    # The one of this owner.
    def self.of(object)
      OWNERS[object] ||= new.tap do |owner|
        ObjectSpace.define_finalizer(object, finalizer(object.object_id, owner.hooks))
        Native.attach(object, owner)
      end
    end

    # A finalizer may run in any thread, at any point, so it must not wait.  A copy of the object has it, too.
    def self.finalizer(owner_id, hooks)
      proc { |id| hooks.each_key { |hook| FORKS.remove(hook) } if id == owner_id }
    end
    private_class_method :finalizer

    # Its finalizer has these, too.
    attr_reader :hooks

    def initialize
      @hooks = {}.compare_by_identity
      @callables = {}.compare_by_identity
    end

    # The replacement for a callable; a C function needs none.
    def stand_in(callable)
      return callable if callable.nil? || callable.is_a?(Symbol)

      Callback.new(self).tap { |callback| @callables[callback] = callable }
    end

    def callable(callback)
      @callables[callback]
    end

    # The object may be dumped for another process, without its hooks.
    def marshal_dump; end

    def marshal_load(_nothing)
      initialize
    end

    # They are unregistered.
    def forget(hook, callbacks)
      @hooks.delete(hook)
      callbacks.each { |callback| @callables.delete(callback) }
    end
  end
end

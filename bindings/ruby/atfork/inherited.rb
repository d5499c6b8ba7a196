# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # The values of +per_process+ that processes above this one made.  While this process runs, its collector leaves them
  # alone (kept.c); as it ends, Ruby would finalise every object that there is, and they are spared here.
  #
  # A connection is more than the object that +value+ returns: the socket below it and its statements belong to it.  So what
  # it refers to is spared too, but for what is surely not its own.
  # @api private
  module Inherited
    # Not followed: by way of these all of a program can be reached.
    SHARED = [Proc, Method, UnboundMethod, Binding, Thread, ThreadGroup, Fiber, Ractor, Encoding, Hook].freeze
    # Ruby lets them go before it frees anything.
    @held = []

    class << self
      # To be called as the process ends, while Ruby code may still run: some runs later, in finalizers of other objects.
      def spare
        values = Native.inherited
        return if values.empty?

        objects = Native.reachable(values, SHARED, [FORKS, STDIN, STDOUT, STDERR, $stdin, $stdout, $stderr])
        Native.undefine_finalizers(objects)
        # Ruby runs finalizers in rounds, until there are none, and then frees.
        in_finalizer { in_finalizer { Native.empty(objects) } }
      end

      private

      def in_finalizer
        @held << Object.new
        ObjectSpace.define_finalizer(@held.last, proc { yield })
      end
    end
  end
  private_constant :Inherited
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # The values of +per_process+ that ancestors of this process made.  While this process runs, its collector leaves them
  # alone (kept.c).  At its end, Ruby would finalise every object; this spares them.
  #
  # A connection is more than the object that +value+ returns: its socket and its statements belong to it.  So all objects
  # that it refers to are spared, except those that surely belong to others.
  # @api private
  module Inherited
    # Not followed: the whole program can be reached through these.
    SHARED = [Proc, Method, UnboundMethod, Binding, Thread, ThreadGroup, Fiber, Ractor, Encoding, Hook].freeze
    # Ruby finalises these before it frees anything.
    @held = []

    class << self
      # Call it at the end of the process, while Ruby code may still run.  Some of it runs later, in finalizers.
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

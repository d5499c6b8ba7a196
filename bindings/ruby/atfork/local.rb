# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # Objects that mean nothing in another process: a hook, an address, a value of this process.
  # @api private
  module Local
    # Called by Marshal.
    def marshal_dump
      raise TypeError, "#{self.class} belongs to its process and cannot be dumped"
    end

    # Called by Psych.
    def encode_with(_coder)
      marshal_dump
    end
  end
  private_constant :Local
end

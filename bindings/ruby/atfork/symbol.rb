# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # A C function that may stand wherever a callable may; see AtFork.symbol.
  class Symbol
    include Local

    # @return [String, nil] the library; nil is the process itself
    attr_reader :library
    # @return [String]
    attr_reader :name
    # @return [Integer] where it is
    attr_reader :to_i

    # @api private
    def initialize(library, name)
      @library = library
      @name = name
      @to_i = Native.symbol(library, name)
      freeze
    end

    # @return [String]
    def inspect
      format("#<%<class>s %<name>s 0x%<address>x>", class: self.class, name: name, address: to_i)
    end

    # Where a C function is, or nil for what is none.
    # @api private
    def self.address(value)
      case value
      when ::Proc, nil then nil
      when Symbol then value.to_i
      else value.to_i if defined?(::Fiddle) && (::Fiddle::Function === value || ::Fiddle::Pointer === value)
      end
    end
  end
end

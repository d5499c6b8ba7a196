# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # A C function, which can be used as any callback; see AtFork.symbol.
  class Symbol
    include Local

    # @return [String, nil] the library; nil is the process itself
    attr_reader :library
    # @return [String]
    attr_reader :name
    # @return [Integer] where it is
    attr_reader :to_i
    # @return [Integer, Fiddle::Pointer, nil] what it is called with
    attr_reader :data

    # @api private
    def initialize(library, name, data)
      @library = library
      @name = name
      @to_i = Native.symbol(library, name)
      @data = data
      @pointer = Symbol.pointer(data)
      freeze
    end

    # @return [String]
    def inspect
      format("#<%<class>s %<name>s 0x%<address>x>", class: self.class, name: name, address: to_i)
    end

    # The address of data.
    # @api private
    def self.pointer(data)
      data = data.to_ptr if data.respond_to?(:to_ptr)
      address = defined?(::Fiddle) && ::Fiddle::Pointer === data ? data.to_i : data || 0
      raise TypeError, "data must be an Integer, a Fiddle::Pointer or nil, not #{data.class}" unless address.is_a?(Integer)
      raise ArgumentError, "data must be an address" unless ADDRESSES.cover?(address)

      address
    end

    # A callable; or a Symbol for a C function.
    # @api private
    def self.of(value)
      return value if value.is_a?(::Proc) || value.is_a?(Symbol) || !defined?(::Fiddle)

      ::Fiddle::Function === value || ::Fiddle::Pointer === value ? Foreign.new(value) : value
    end

    ADDRESSES = (0..((2**(8 * [nil].pack("p").bytesize)) - 1))
    private_constant :ADDRESSES
  end

  # A function of Fiddle.
  # @api private
  class Foreign < Symbol
    def initialize(function) # rubocop:disable Lint/MissingSuper
      @name = "of Fiddle"
      @to_i = function.to_i
      @data = function # keeps it alive
      @pointer = 0
      freeze
    end
  end
  private_constant :Foreign
end

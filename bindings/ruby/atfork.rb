# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "atfork/native"
require "atfork/local"
require "atfork/symbol"
require "atfork/hook"
require "atfork/table"
require "atfork/walk"
require "atfork/run"
require "atfork/lock"
require "atfork/owner"
require "atfork/forks"
require "atfork/inherited"
require "atfork/per_process"

# Repairs a process after +fork+: callbacks that run before a fork, after it in the parent, and after it in the child.  Each
# child callback runs exactly once in every new process.
#
#   AtFork.register_after_fork { Random.srand(AtFork.seed(42)) }
#
# Hooks are ordered by priority, then by registration: +parent+ and +child+ run in this order, +prepare+ in the reverse.
#
# Ruby callbacks never run inside fork(2), where the VM still lists threads that are gone.  They run around +Process._fork+,
# so for +fork+, +Kernel#fork+ and <tt>IO.popen("-")</tt>. There they run before the block of a +fork+, and before code that
# other libraries have prepended to +Process._fork+. For +Process.daemon+, for forks made by C code, and in a Ractor, +child+
# runs as soon as the VM goes on in the child.  For these +prepare+ does not run, nor does the +parent+ of a hook with a
# +prepare+. After a fork that runs no handlers at all, +child+ runs at AtFork.poll, or before the next fork.
module AtFork
  # The part that is written in C.
  # @api private
  module Native; end

  # The version of the library, as "MAJOR.MINOR.MICRO".
  VERSION = Native.version.freeze
  PRIORITIES = (-32_768..32_767)
  SEED_BITS = (1..65_536)
  SEED_BYTES = (0..8192)
  CHILDREN = (1..((2**64) - 1))
  WORD = (2**64) - 1
  BASES = (-(2**63)..((2**64) - 1))
  NO_TOKEN = "the token was not made by atfork"
  # Kept when this file is loaded again.
  FORKS = Forks.new unless const_defined?(:FORKS, false)
  private_constant :Native, :PRIORITIES, :SEED_BITS, :SEED_BYTES, :CHILDREN, :WORD, :BASES, :NO_TOKEN, :FORKS

  # A hook of any language, as AtFork.hooks lists it.
  Info = Struct.new(:id, :name, :priority, :generation, :prepare, :parent, :child)

  class << self
    # @return [#call, nil] called with (error, hook, phase) when a callback raises; nil: a warning with the backtrace is
    #   written to stderr.  The phase is :prepare, :parent, :child or :discard; for :discard the hook is nil.  A lambda
    #   with two arguments gets no phase
    def on_error
      forks.on_error
    end

    # @param callable [#call, nil] see {#on_error}
    def on_error=(callable)
      raise TypeError, "on_error must respond to call, or be nil" unless callable.nil? || callable.respond_to?(:call)

      forks.on_error = callable
    end

    # How many forks deep this process is.
    # @return [Integer]
    def generation
      Native.generation
    end

    # Which child of which child this process is: "0", "0.1", "0.2.1".
    # @return [String]
    def lineage
      Native.lineage
    end

    # How this process has got its place in the tree, and so its lineage and seeds: +:root+, +:forked+, +:spawned+,
    # +:adopted+ or +:unknown+. Unknown means that the library was loaded after a fork by a process of the same program.
    # There are likely to be more such workers, and each takes itself for the root.
    # @return [::Symbol]
    def place
      Native.place
    end

    # A number for this run of the whole tree of processes.  The root draws it from the kernel, or reads it from the
    # environment variable ATFORK_RUN; all its descendants have the same.
    # @return [Integer] 64 bits
    def run
      Native.run
    end

    # An integer that differs for each base and process, as far as its bits allow, and is the same from run to run.  Among
    # 100,000 processes two seeds of 32 bits are equal in 7 of 10 runs, two of 64 bits in 1 of 4 thousand million.
    #
    # If the place of this process is unknown, the first call warns.
    # @param base [Integer, nil] -2**63 to 2**64 - 1; a negative base in two's complement, so -1 is 2**64 - 1. nil:
    #   {#run}, so the seed differs from run to run
    # @param bits [Integer] how many: 1 to 64, or a multiple of 8 up to 65,536
    # @return [Integer]
    def seed(base = nil, bits: 64)
      base = check_base(base)
      check_integer("bits", bits, SEED_BITS)
      raise ArgumentError, "more than 64 bits must be a multiple of 8" if bits > 64 && bits % 8 != 0

      warn_of_a_guess
      return Native.seed(base) & ((1 << bits) - 1) if bits <= 64

      Native.seed_bytes(base, bits / 8).reverse.unpack1("H*").hex
    end

    # As many bytes of seed as a generator's state needs; 256 bits of them depend on base and process; see {#seed}. A shorter
    # result is the beginning of a longer one.
    # @param base [Integer, nil] as for {#seed}; may be left out
    # @param size [Integer] 0 to 8,192
    # @return [String] binary
    def seed_bytes(base = nil, size) # rubocop:disable Style/OptionalArguments
      base = check_base(base)
      check_integer("size", size, SEED_BYTES)
      warn_of_a_guess
      Native.seed_bytes(base, size)
    end

    # A token for the next worker that this process spawns, for the worker's {#spawned}: pass it as an argument, or as
    # ATFORK_TOKEN in the worker's environment.
    # @return [String]
    def token
      Native.token
    end

    # The token for the n-th child of the process that another token is for: for a process that starts the workers of another
    # one.
    # @param token [String] from {#token}, or from this
    # @param number [Integer] from 1 to 2**64 - 1
    # @return [String]
    def child_token(token, number)
      raise TypeError, "token must be a String, not #{token.class}" unless token.is_a?(String)

      check_text("token", token)
      check_integer("number", number, CHILDREN)
      Native.child_token(token, number)
    rescue Errno::EINVAL
      raise ArgumentError, NO_TOKEN
    end

    # In a worker that was spawned: takes its place in the tree of processes, and runs the child callbacks that are registered
    # so far.
    # @param token [String, nil] nil reads the environment variable ATFORK_TOKEN, and removes it
    # @return [nil]
    # @raise [ArgumentError] there is no token, or it was not made by atfork
    # @raise [RuntimeError] this process was forked by a process that had atfork, or has taken a place before
    def spawned(token = nil)
      raise TypeError, "token must be a String or nil, not #{token.class}" unless token.nil? || token.is_a?(String)

      check_text("token", token) if token
      missing = token.nil? && !ENV.key?("ATFORK_TOKEN")
      take_place { Native.spawned(token) }
    rescue Errno::EINVAL
      raise ArgumentError, missing ? "there is no token: ATFORK_TOKEN is not set" : NO_TOKEN
    end

    # In a worker that its launcher has numbered: takes the place with this number, with the lineage "0.r3" for 3, and runs
    # the child callbacks that are registered so far.
    # @param rank [Integer, String, nil] nil reads the variables of Slurm, MPI, Flux, torchrun or Kubernetes
    # @return [nil]
    # @raise [ArgumentError] it is not a number; or no launcher gives one, or two give different numbers
    # @raise [RuntimeError] this process was forked by a process that had atfork, or has taken a place before
    def adopt(rank = nil)
      check_text("rank", rank) if rank.is_a?(String)
      case rank
      when Integer, String, nil then take_place { Native.adopt(rank&.to_s) }
      else raise TypeError, "rank must be an Integer, a String or nil, not #{rank.class}"
      end
    rescue Errno::EINVAL
      raise ArgumentError, "rank must be a decimal number below 2^64 without leading zeros, not #{rank.to_s.b}" if rank

      raise ArgumentError, "launchers give different ranks, or no number: #{Native.launcher}"
    rescue Errno::ENOENT
      raise ArgumentError, "no launcher has numbered this process: give its rank"
    end

    # Runs the child callbacks that this process missed, because it was made by a fork that runs no handlers.
    # @return [Integer] how many
    def poll
      forks.poll
    end

    # Registers a block, or a callable, or a C function, to run in each new process.
    # @param callable [#call, AtFork::Symbol, Fiddle::Function, Fiddle::Pointer, nil] instead of a block
    # @return [Hook]
    def register_after_fork(callable = nil, &block)
      raise ArgumentError, "give a callable or a block, not both" if callable && block

      forks.register("", 0, nil, nil, nil, nil, block || callback("callable", callable))
    end

    # Registers up to three callbacks as one hook.  Each is a callable, or a C function.
    # @param name [String] for people
    # @param priority [Integer] -32768 to 32767; hooks run in this order, +prepare+ in the reverse
    # @param key [Object] replaces the hook that was registered with an equal key (+eql?+), so a file that is loaded
    #   again leaves one hook
    # @param owner [Object] the hook is unregistered when this object is collected.  Its callbacks may refer to the
    #   object: only the object refers to them
    # @param prepare [#call, AtFork::Symbol, Fiddle::Function, Fiddle::Pointer, nil] runs before the fork
    # @param parent [#call, AtFork::Symbol, Fiddle::Function, Fiddle::Pointer, nil] runs after the fork, in the same process
    # @param child [#call, AtFork::Symbol, Fiddle::Function, Fiddle::Pointer, nil] runs after the fork, in the new process
    # @return [Hook]
    def register(name: "", priority: 0, key: nil, owner: nil, prepare: nil, parent: nil, child: nil)
      raise ArgumentError, "register takes no block: give callables as prepare, parent and child" if block_given?

      check_name(name)
      check_integer("priority", priority, PRIORITIES)
      prepare = callback("prepare", prepare) unless prepare.nil?
      parent = callback("parent", parent) unless parent.nil?
      child = callback("child", child) unless child.nil?
      raise ArgumentError, "at least one of prepare, parent and child is required" if prepare.nil? && parent.nil? && child.nil?

      forks.register(name, priority, key, owner, prepare, parent, child)
    end

    # Holds a lock across each fork, so no child is made while another thread has the lock.  The fork takes it before, and
    # releases it afterwards in the parent and in the child.
    #
    # A fork that does not use Process._fork takes no lock, and its child releases none.  If the forking thread has the lock
    # itself, the fork does not take it.  In a +trap+ a fork cannot wait for another thread's lock: this is an error, and the
    # fork is made without the lock.
    #
    # A fork does not wait for a lock while it holds another.  If another thread has a lock, the hooks prepared so far get
    # their +parent+. The fork then waits for this lock with nothing held, keeps it, and prepares the hooks again.
    # @param lock [Mutex, Monitor, MonitorMixin] kept until the hook is unregistered
    # @param priority [Integer] see {#register}.  Locks are taken from the highest number to the lowest
    # @return [Hook]
    def register_lock(lock, priority: 0)
      held = Lock.new(lock)
      release = held.method(:release)
      register(name: "lock", priority: priority, prepare: held.method(:prepare), parent: release, child: release)
    end

    # In a +parent+ or +child+ callback: whether the +prepare+ of the same hook ran for this fork, and returned.  Not if it
    # raised; nor if none ran, as there is none, or as C code made the fork.
    # @return [Boolean]
    def prepared
      run = Run.current
      raise "prepared may be called only in a parent or child callback" if run.nil? || run.prepare?

      run.walk.prepared?(run.hook)
    end

    # A C function, <tt>void function(void *data)</tt>, of a shared library, which stays loaded; nil: of the process itself.
    # It runs directly inside fork(2), so it never waits for Ruby.
    # @param library [String, nil]
    # @param name [String]
    # @param data [Integer, Fiddle::Pointer, #to_ptr, nil] the address that it is called with; an object lives as long
    #   as the symbol or its hook
    # @return [AtFork::Symbol]
    def symbol(library, name, data = nil)
      raise TypeError, "library must be a String or nil" unless library.nil? || library.is_a?(String)
      raise TypeError, "name must be a String" unless name.is_a?(String)

      check_text("library", library) if library
      check_text("name", name)
      Symbol.new(library, name, data)
    end

    # All hooks of the process in run order.
    # @return [Array<Info>]
    def hooks
      Native.hooks.map { |fields| Info.new(*fields).freeze }
    end

    # A separate value for each process: +AtFork.per_process { connect }.value+
    #
    # A process neither finalises nor closes a value that its parent made, also not at its end, unless +discard+ is given.
    # @param discard [#call, nil] called once with the inherited value, before this process makes its own; after that it
    #   is an ordinary object
    # @yieldreturn what becomes the value
    # @return [PerProcess]
    def per_process(discard: nil, &init)
      PerProcess.new(discard: discard, &init)
    end

    private

    def take_place(&native)
      forks.take_place(&native)
      nil
    rescue Errno::EALREADY
      raise "this process was forked by a process that had atfork, or has taken a place before"
    end

    def warn_of_a_guess
      return unless Native.place_is_to_be_warned_of

      warn "atfork: this process does not know its place in the tree of processes, as atfork was loaded after the fork: " \
           "its seeds may be those of other processes.  Load atfork before the fork, or call AtFork.adopt with this " \
           "worker's number", uplevel: 2
    end

    # The hooks of the main Ractor, which in a child is the one that forked.  Other Ractors may not share changing objects.
    def forks
      FORKS
    rescue Ractor::IsolationError
      raise Ractor::UnsafeError, "hooks belong to the main Ractor: in other Ractors, only places and seeds may be asked for"
    end

    def check_base(base)
      return Native.run if base.nil?

      check_integer("base", base, BASES)
      base & WORD
    end

    def check_integer(what, value, range)
      raise TypeError, "#{what} must be an Integer, not #{value.class}" unless value.is_a?(Integer)
      raise ArgumentError, "#{what} must be in #{range}" unless range.cover?(value)
    end

    def check_name(name)
      raise TypeError, "name must be a String, not #{name.class}" unless name.is_a?(String)
      check_text("name", name)
    end

    # C would read a text up to this byte.  A text in UTF-16 has some, too.
    def check_text(what, text)
      raise ArgumentError, "#{what} contains a zero byte" if text.b.include?("\0")
    end

    # The form that Forks expects: a callable, or a Symbol.
    def callback(what, value)
      return value if value.is_a?(Proc)
      raise ArgumentError, "a #{what} or a block is required" if value.nil?

      found = Symbol.of(value)
      check_function(what, found.to_i) if found.is_a?(Symbol)
      return found if found.is_a?(Symbol) || value.respond_to?(:call)

      raise TypeError, "#{what} must respond to call, not #{value.class}"
    end

    # A closure would run Ruby inside fork(2).
    def check_function(what, address)
      raise ArgumentError, "#{what} is a null pointer" if address.zero?
      return if Native.keep_library(address)

      raise ArgumentError,
            "#{what} is not a function of a library: register Ruby callables as they are, not as C callbacks"
    end
  end

  at_exit { Inherited.spare } if FORKS.take_over
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "atfork/native"

# Puts a process right after +fork+: callbacks that run before a fork, after it in the parent, and after it in
# the child, each exactly once in every new process.
#
#   AtFork.register_after_fork { Random.srand(AtFork.seed(42)) }
#
# Hooks are ordered by priority, then registration: +parent+ and +child+ run in that order, +prepare+ in the
# reverse.
#
# Ruby callbacks never run inside fork(2), where the VM still believes in threads that are gone.  They run
# around Process._fork, so for +fork+, Kernel#fork and IO.popen("-"), before the block of a +fork+.  For
# Process.daemon, and forks made by C code, +child+ runs as soon as the VM goes on in the child; +prepare+ does not
# run for those, nor does the +parent+ of a hook that has a +prepare+.  For a fork that runs no handlers at all they
# run at AtFork.poll, or before the next fork.
module AtFork
  VERSION = Native.version.freeze
  PRIORITIES = (-32_768..32_767)
  PHASES = %i[prepare parent child].freeze
  private_constant :PRIORITIES, :PHASES

  # A C function that may stand wherever a callable may; see AtFork.symbol.
  class Symbol
    attr_reader :library, :name, :to_i

    def initialize(library, name)
      @library = library
      @name = name
      @to_i = Native.symbol(library, name)
      freeze
    end

    def inspect
      format("#<%<class>s %<name>s 0x%<address>x>", class: self.class, name: name, address: to_i)
    end
  end

  # What AtFork.register returns.
  class Hook
    attr_reader :id, :name, :priority

    # Takes the hook back: true, or false if that was done before.
    def unregister
      AtFork.__send__(:remove, self)
    end

    def inspect
      format("#<%<class>s %<name>p priority=%<priority>d id=0x%<id>x>",
             class: self.class, name: name, priority: priority, id: id)
    end

    private

    def initialize(name, priority, callbacks)
      @name = name.dup.freeze
      @priority = priority
      @callables = callbacks.transform_values { |value| value if value.respond_to?(:call) && !Hook.address(value) }
      natives = PHASES.map { |phase| @callables[phase] ? true : Hook.address(callbacks[phase]) }
      @id = Native.register(@name, priority, natives)
      freeze
    end

    # Whether Ruby has to run it.
    def callable?(phase)
      !@callables[phase].nil?
    end

    def call(phase)
      @callables[phase]&.call
    end

    class << self
      # Where a C function is, or nil for what is none.
      def address(value)
        case value
        when Symbol then value.to_i
        when nil then nil
        else value.to_i if fiddle?(value)
        end
      end

      private

      def fiddle?(value)
        defined?(::Fiddle) && (::Fiddle::Function === value || ::Fiddle::Pointer === value)
      end
    end
  end

  # A value that is made once in each process; see AtFork.per_process.
  class PerProcess
    def initialize(&init)
      @init = init
      @made = nil
      @lock = Thread::Mutex.new
    end

    # The value of this process.  The block runs when it is first asked for; an error is not remembered.
    def value
      made = @made
      return made[1] if made && made[0] == Native.generation

      make
    end

    # Forgets the value; the next call of +value+ makes another.
    def reset
      @made = nil
      self
    end

    private

    # A lock that a thread of the parent held is of no use here, and Ruby has let go of it.
    def make
      @lock.synchronize do
        generation = Native.generation
        return @made[1] if @made && @made[0] == generation

        value = @init.call
        @made = [generation, value].freeze
        value
      end
    end
  end

  # What AtFork.hooks lists: any hook of the process, of whatever language.
  Info = Struct.new(:id, :name, :priority, :generation, :prepare, :parent, :child)

  # Prepended to Process, as its documentation asks for.
  module ProcessFork
    def _fork
      AtFork.__send__(:around_fork) { super }
    end
  end
  private_constant :ProcessFork

  @hooks = {}
  @sorted = nil
  @on_error = nil

  class << self
    # Called with (error, hook) when a callback raises; nil: a warning with the backtrace on stderr.
    attr_reader :on_error

    def on_error=(callable)
      raise TypeError, "on_error must respond to call, or be nil" unless callable.nil? || callable.respond_to?(:call)

      @on_error = callable
    end

    # How many forks deep this process is.
    def generation
      Native.generation
    end

    # Which child of which child this process is: "0", "0.1", "0.2.1".
    def lineage
      Native.lineage
    end

    # An integer of 64 bits: distinct for each base and process, and the same from run to run.
    def seed(base)
      raise TypeError, "base must be an Integer, not #{base.class}" unless base.is_a?(Integer)

      Native.seed(base & 0xffff_ffff_ffff_ffff)
    end

    # Runs the child callbacks that this process missed, because it was made by a fork that runs no handlers.
    # Returns how many.
    def poll
      count = Native.poll
      run_due
      count
    end

    # Registers a block, or a callable, or a C function, to run in each new process.  Returns a Hook.
    def register_after_fork(callable = nil, &block)
      raise ArgumentError, "a callable and a block" if callable && block

      add("", 0, child: check_callback(:callable, callable || block))
    end

    # Registers a hook.  Returns a Hook.
    def register(name: "", priority: 0, prepare: nil, parent: nil, child: nil)
      check_name(name)
      check_priority(priority)
      callbacks = { prepare: prepare, parent: parent, child: child }.compact
      raise ArgumentError, "none of prepare, parent and child is given" if callbacks.empty?

      callbacks.each { |phase, value| check_callback(phase, value) }
      add(name, priority, **callbacks)
    end

    # A C function, <tt>void function(void *data)</tt>, of a shared library, which stays loaded; nil: of the
    # process itself.  Run directly inside fork(2), so it never waits for Ruby.
    def symbol(library, name)
      raise TypeError, "library must be a String or nil" unless library.nil? || library.is_a?(String)
      raise TypeError, "name must be a String" unless name.is_a?(String)

      Symbol.new(library, name)
    end

    # All hooks of the process in run order, as Info.
    def hooks
      Native.hooks.map { |fields| Info.new(*fields).freeze }
    end

    # A value of its own for each process: AtFork.per_process { connect }.value
    def per_process(&init)
      raise ArgumentError, "no block" unless init

      PerProcess.new(&init)
    end

    private

    def check_name(name)
      raise TypeError, "name must be a String, not #{name.class}" unless name.is_a?(String)
      raise ArgumentError, "name contains a zero byte" if name.include?("\0")
    end

    def check_priority(priority)
      raise TypeError, "priority must be an Integer, not #{priority.class}" unless priority.is_a?(Integer)
      raise ArgumentError, "priority must be in #{PRIORITIES}" unless PRIORITIES.cover?(priority)
    end

    def check_callback(what, value)
      raise ArgumentError, "no #{what} and no block" if value.nil?
      return value if value.respond_to?(:call) || Hook.address(value)

      raise TypeError, "#{what} must respond to call, not #{value.class}"
    end

    def add(name, priority, **callbacks)
      hook = Hook.new(name, priority, callbacks)
      @hooks[hook.id] = hook
      @sorted = nil
      hook
    end

    def remove(hook)
      @sorted = nil if @hooks.delete(hook.id)
      Native.unregister(hook.id)
    end

    # The hooks that a fork which begins now runs.
    def sorted
      @sorted ||= @hooks.values.sort_by!(&:id).freeze
    end

    def around_fork
      poll
      hooks = sorted
      before = Native.generation
      begin
        run(hooks.reverse, :prepare)
        Native.forking(true)
        yield
      ensure
        Native.forking(false)
        run(hooks, Native.generation == before ? :parent : :child)
      end
    end

    # What was noted inside fork(2).
    def run_due
      due = Native.due
      return if due.empty?

      due.sort_by!(&:first)
      hooks = due.filter_map { |id, child, _| @hooks[id] if child }
      run(hooks, :child)
      due.each { |id, _, parents| parents.times { run([@hooks[id]].compact, :parent) } }
    end

    # Each hook runs, whatever another one does.  What is no error, like +exit+, goes on when all have; so does a
    # +throw+, by way of +ensure+.  A callback that forks has the child run all hooks there, so the loop ends when
    # it returns in that.
    def run(hooks, phase, from = 0)
      generation = Native.generation
      leave = nil
      while from < hooks.size
        hook = hooks[from]
        from += 1
        leave = run_one(hook, phase) || leave
        from = hooks.size if phase == :child && Native.generation != generation
      end
      leave&.call
    ensure
      run(hooks, phase, from) if from < hooks.size
    end

    # Returns how to leave, if the callback wants to.
    def run_one(hook, phase)
      hook.__send__(:call, phase)
      nil
    rescue SystemExit, SignalException, NoMemoryError => e
      -> { raise e }
    rescue Exception => e # rubocop:disable Lint/RescueException
      report(e, hook, phase)
      nil
    end

    def report(error, hook, phase)
      return warn_of(error, hook, phase) unless @on_error

      begin
        @on_error.call(error, hook)
      rescue Exception => e # rubocop:disable Lint/RescueException
        warn_of(e, hook, "on_error")
        warn_of(error, hook, phase)
      end
    end

    def warn_of(error, hook, where)
      $stderr.puts("atfork: error in #{where} of hook '#{hook.name}': #{error.full_message(highlight: false)}")
      $stderr.flush
    end
  end

  Native.when_due(method(:run_due).to_proc)
  Process.singleton_class.prepend(ProcessFork)
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # The hooks of Ruby, and the forks that run them.  There is one object of this class.
  #
  # No lock guards it, as a callback may run anywhere, also in a +trap+. A change is one assignment, or one call of a method
  # in C.
  # @api private
  class Forks
    attr_reader :on_error

    def initialize
      @hooks = []
      @keys = {}
      @owners = ObjectSpace::WeakMap.new
      @table = nil
      @walks = {}.compare_by_identity
      @running = {}.compare_by_identity
      @takes_place = false # it was spawned, and is no child of this VM
      self.on_error = nil
    end

    # Replaces Process._fork.  Ruby's own lies below the methods that others have prepended.  Another Ractor may call nothing
    # of the main Ractor; in its child it is the main Ractor, and the only one.
    # @return [Boolean] false if it was before
    def take_over
      return false if Process.respond_to?(:_fork_of_ruby, true)

      Native.when_due(method(:run_job))
      Process.singleton_class.send(:private, keep_original)
      # Ruby's own method, with the callbacks around it.
      # @api private
      def Process._fork
        forks = FORKS
      rescue Ractor::IsolationError
        _fork_of_ruby.tap { |pid| FORKS.run_due if pid.zero? }
      else
        forks.fork
      end
      true
    end

    # key:: nil, or the key; a later hook with an equal key replaces this one
    # owner:: nil, or the object whose end ends the hook
    def register(name, priority, key, owner, prepare, parent, child)
      return register_with(Owner.of(owner), name, priority, key, prepare, parent, child) unless owner.nil?

      hook, replaced = Native.register(@hooks, @keys, name, priority, key, prepare, parent, child)
      finish(replaced) if replaced
      hook
    end

    def unregister(hook)
      return false unless Native.unregister(@hooks, @keys, hook)

      finish(hook)
      true
    end

    # Does not wait: forks under way end the hook.
    def remove(hook)
      Native.unregister_later(@hooks, @keys, hook)
    end

    def poll
      count = Native.poll
      run_due
      count
    end

    # Runs a block that takes the place of this process in the tree.
    def take_place
      @takes_place = true
      yield
      run_due
    ensure
      @takes_place = false
    end

    # Called in place of Process._fork.  If a registered lock is taken, the attempt ends, and the next one begins by waiting
    # for this lock.
    def fork
      poll
      walk = Walk.new
      pid = attempt(walk, nil)
      while walk.refusal
        before = walk
        pid = attempt(walk = Walk.new(before.given_up), before)
      end
      pid
    end

    # Runs callbacks that were marked inside fork(2), after forks that did not use Process._fork.
    def run_due
      table = current
      due = Native.take_due(table.hooks)
      return if due.nil?

      children, parents = due
      tell_ruby unless children.empty? || @takes_place
      walk = Walk.new(prepared: false)
      run_children(table.child_of(children), walk) unless children.empty?
      Run.new(table.parent_of(parents), walk).run(self) unless parents.empty?
    end

    # Runs as a postponed job of Ruby.  An exception of a job is lost, so it is raised in the thread after the job.
    def run_job
      run_due
    rescue *Phase.leaving => e
      thread = Thread.current
      Thread.new { thread.raise(e) }
    end

    # hook:: nil if the phase is +:discard+
    def report(error, hook, phase)
      return warn_of(error, hook, phase) unless @on_error

      begin
        @on_error.call(*[error, hook, phase].first(@arguments))
      rescue Exception => e # rubocop:disable Lint/RescueException
        warn_of(e, hook, "on_error")
        warn_of(error, hook, phase)
      end
    end

    def on_error=(callable)
      @arguments = takes_two?(callable) ? 2 : 3
      @on_error = callable
    end

    private

    def keep_original
      method = Process.method(:_fork)
      while (below = method.super_method) do method = below end
      Process.singleton_class.define_method(:_fork_of_ruby, method.unbind)
    end

    # Ruby requires C code that forks to call rb_thread_atfork() in the child; few programs do.  Until this call, Ruby lists
    # threads that are gone, they hold their locks, +exit+ waits for them, and random numbers are the parent's.  A second
    # call changes nothing as long as there are no other threads: it removes all of them.
    def tell_ruby
      threads = File.stat("/proc/self/task").nlink - 2
      Native.rb_thread_atfork if threads == 1
    rescue SystemCallError
      nil # their number is not known
    end

    def register_with(owner, name, priority, key, *callables)
      callbacks = []
      callables.each { |callable| callbacks << owner.stand_in(callable) }
      hook, replaced = Native.register(@hooks, @keys, name, priority, key, *callbacks)
      owner.hooks[hook] = true
      @owners[hook] = owner
      finish(replaced) if replaced
      hook
    ensure
      owner.forget(hook, callbacks) unless hook
    end

    # After a hook was unregistered.
    def finish(hook)
      forget_owner(hook)
      wait_for(hook) unless @walks.empty?
    end

    def forget_owner(hook)
      @owners[hook]&.forget(hook, (0..2).map { |phase| Native.callable(hook, phase) })
    end

    # The table of the current hooks.  If they change while it is made, its state is no longer the current one, and the next
    # fork makes another table.
    def current
      state = Native.state
      table = @table
      return table if table && table.state == state

      @table = Table.new(state, @hooks)
    end

    # A thread that unregisters a hook waits for the attempts under way.  An attempt that waits for a lock is not among them,
    # as that thread may hold the lock.
    # before:: the attempt that a lock refused, or nil
    # @return [Integer, nil] nil: a lock refuses this one
    def attempt(walk, before)
      wait_for_lock(before.refusal, walk) if before
      walk.generation = Native.generation # a trap may have forked, and this may be its child
      @walks[walk] = true
      walk.table = before ? still_registered(before.table) : current
      walk.unlock unless before.nil? || walk.table.include?(before.refusal.hook)
      around(walk, walk.table)
    ensure
      @walks.delete(walk)
      walk.unlock
      walk.end
    end

    # Nothing is prepared, and no lock is held.  Afterwards the walk has the lock, or goes on without it.
    def wait_for_lock(refusal, walk)
      refusal.lock.wait(walk)
    rescue *Phase.leaving
      raise
    rescue Exception => e # rubocop:disable Lint/RescueException
      walk.given_up << refusal.lock
      report(e, refusal.hook, :prepare)
    end

    # If fork(2) fails, it raises, and this is the parent.
    def around(walk, table)
      pid = generation = nil
      Run.new(table.prepare, walk).run(self)
      unless walk.refusal
        generation = Native.generation
        pid = Native.fork
      end
    ensure
      if pid == 0 # rubocop:disable Style/NumericPredicate
        become_child(walk)
        run_children(table.child, walk)
      else
        made_in_the_middle(walk, table) if generation && generation != Native.generation
        Run.new(generation ? table.parent : walk.not_forked, walk).run(self)
      end
    end

    # A callback in C has forked inside fork(2).  This is its child, which goes on with the outer fork.
    def made_in_the_middle(walk, table)
      tell_ruby
      become_child(walk)
      run_children(table.child, walk)
    end

    # The table without hooks that were unregistered since.  Hooks that were registered since take part in the next fork.
    def still_registered(table)
      state = Native.state
      table.state == state ? table : Table.new(state, table.hooks.select { |hook| Native.is_registered(hook) })
    end

    # Forks of other threads are gone with their threads.  Forks of other fibers of this thread stay.
    def become_child(walk)
      @walks.delete_if { |other, _| !other.thread.equal?(walk.thread) }
      @walks.each_key { |other| other.generation = Native.generation }
    end

    # If a callback forks, its child runs all callbacks itself, so the outer loops have nothing to run there.
    def run_children(phase, walk)
      @running.each_key do |outer|
        outer.clear
        walk.inherit(outer.walk)
      end
      run = Run.new(phase, walk, phase.callables.dup)
      @running[run] = true
      run.run(self)
    ensure
      @running.delete(run)
    end

    def wait_for(hook)
      thread = Thread.current
      generation = Native.generation
      walks = @walks.keys
      return if walks.any? { |walk| walk.thread.equal?(thread) }

      walks.each { |walk| walk.wait if walk.generation == generation && walk.may_run?(hook) }
    end

    # A lambda, or a method, of two arguments takes no third.
    def takes_two?(callable)
      callable && (callable.respond_to?(:arity) ? callable : callable.method(:call)).arity == 2
    end

    # The other callbacks go on, even if the program's error or $stderr raises.
    def warn_of(error, hook, where)
      of = hook ? "hook '#{hook.name}'" : "a per_process"
      text = "atfork: error in #{where} of #{of}: #{message_of(error)}\n"
      begin
        $stderr.write(text)
        $stderr.flush
      rescue StandardError
        STDERR.write(text)
      end
    end

    def message_of(error)
      error.full_message(highlight: false).chomp
    rescue StandardError => e
      "#{error.class}, whose message raises #{e.class}"
    end
  end
  private_constant :Forks
end

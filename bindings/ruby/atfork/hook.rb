# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # What AtFork.register returns.  It is frozen, and cannot be made or copied in another way.  It has +id+, +name+ and
  # +priority+.
  #
  # Its callables live as long as it is registered, or is referred to.
  class Hook
    include Local

    # Unregisters the hook.  When it returns, no callback of the hook is running or will run in this process: it waits for
    # forks of other threads in which the hook takes part.  Inside a callback it does not wait; the hook takes part in the
    # rest of the forks under way.
    # @return [Boolean] false if it was unregistered before
    def unregister
      FORKS.unregister(self)
    end

    # @return [String]
    def inspect
      format("#<%<class>s %<name>p priority=%<priority>d id=0x%<id>x>",
             class: self.class, name: name, priority: priority, id: id)
    end
  end
end

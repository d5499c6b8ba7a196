# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module AtFork
  # What AtFork.register returns: frozen, and not to be made or copied otherwise.  It has +id+, +name+ and +priority+.
  #
  # Its callables are kept as long as it is registered, or kept itself.
  class Hook
    include Local

    # Takes the hook back.  When it returns, none of its callbacks is running or will run in this process: it
    # waits for the forks of other threads that the hook takes part in.  Inside a callback it does not wait: there the hook
    # gets the rest of the forks under way.
    # @return [Boolean] false if that was done before
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

/* SPDX-License-Identifier: MIT */
/* ---- lock.c ---- */

inline lock_enter() {
  atomic {
    if
    :: owner == t -> nested = true
    :: owner == 0 -> owner = t; updating[t] = true; nested = false
    fi
  }
}

inline lock_leave() {
  atomic {
    if
    :: nested -> nested = false
    :: else ->
       updating[t] = false;
       if
       :: owner == t -> owner = 0
       :: else
       fi
    fi
  }
}

inline lock_inherit() {
  if
  :: updating[t] -> owner = t
  :: else
  fi
}

/* ---- registry.c ---- */

inline store_word(word, value) {
  if
  :: word == 1 -> used = value
  :: else -> retired[word - 2] = value
  fi
}

inline undo_uncommitted() {
  d_step {
    if
#ifndef BUG_NO_UNDO
    :: intent_word != 0 && intent_sequence > sequence -> store_word(intent_word, intent_before)
#endif
    :: else
    fi;
    intent_word = 0
  }
}

/* Under the lock, and here never nested: callbacks of a fork that a handler makes leave the registry alone.  update.pml
 * has the other case. */
inline commit(word, value) {
  d_step {
    intent_sequence = sequence + 1;
    if
    :: word == 1 -> intent_before = used
    :: else -> intent_before = retired[word - 2]
    fi
  }
  intent_word = word;
  d_step { store_word(word, value) }
  sequence++;
  intent_word = 0
}

/* Leaves the new slot in h.  When a handler forks in the middle, the child may take it for a hook from before or
 * after that fork. */
inline atfork_register(h) {
  p = process;
  fork_enter();
  lock_enter();
  undo_uncommitted();
  atomic {
    h = used;
    assert(whole || h < SLOTS);
    added[h] = sequence + 1;
    retired[h] = 0;
    born_here[h] = (p == process);
    born_in[h] = k - 1;
    p = 0
  }
  commit(1, h + 1);
  lock_leave()
}

/* Leaves the sequence of the retirement in r; 0: there is no such hook. */
inline registry_retire(h, deferred) {
  lock_enter();
  undo_uncommitted();
  if
  :: h >= used || buried[h] || retired[h] != 0 -> r = 0
  :: else ->
     retired_count++;
     r = sequence + 1;
     commit(2 + h, r * 2 + deferred);
     leaving[h] = 1
  fi;
  lock_leave()
}

/* Under the lock. */
inline bury(h) {
  atomic { buried[h] = true; burier[h] = t }
  retired_count--
}

inline destroy(h) {
  atomic {
    assert(final || destroyed[h] == 0);
    destroyed[h]++
  }
}

inline end_hook(h) {
  lock_enter();
  if
  :: !buried[h] -> bury(h); lock_leave(); destroy(h)
  :: else -> lock_leave()
  fi
}

#define IS_DEFERRED(h) (!buried[h] && retired[h] != 0 && (retired[h] & 1) == 1)

/* Under the lock, in a new process. */
inline registry_adopt() {
  undo_uncommitted();
  d_step {
    retired_count = 0;
    h_ = 0;
    do
    :: h_ < used ->
       if
       :: !buried[h_] && retired[h_] != 0 ->
          retired_count++;
          retired[h_] = retired[h_] | 1
       :: else
       fi;
       h_++
    :: else -> break
    od;
    h_ = 0
  }
}

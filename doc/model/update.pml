/* SPDX-License-Identifier: MIT */
/*
 * An update of the registry, and whoever comes in the middle: a signal handler of the same thread with an update of its
 * own, a walk of another thread, or a bypassing fork of that thread, whose child then goes on alone.
 *
 * The one word that makes an update so is `used` of a table, or `retired` of a slot in it.
 */
#define TABLES 5
#define SLOTS 6
#define HOOKS 7 /* 0 is none; 1 and 2 are there at the start; 3 to 6 are added by each who adds */

typedef table {
  byte used;
  byte hook[SLOTS];
  byte added[SLOTS];
  byte retired[SLOTS]
}
table tables[TABLES];
byte tables_made = 1;

/* Lasting. */
byte current;
byte sequence = 2;
byte intent_word; /* 0: none */
byte intent_before, intent_sequence;

bool handling; /* a signal handler runs in thread 1, which is inside its update, with the lock */
bool updating; /* thread 1 is in its update */
bool is_child; /* thread 2 goes on alone */

/* What its caller knows of each hook. */
#define UNKNOWN 0
#define ADDING 1
#define LIVE 2
#define RETIRING 3
#define GONE 4
byte known[HOOKS];

/* Never true: the name of the property, for pan to print. */
hidden byte whole;

/* A word's name: its table, and 0 for `used` or the slot + 1. */
#define WORD(t, which) (1 + (t) * 8 + (which))

inline load_word(word, value) {
  if
  :: (word - 1) % 8 == 0 -> value = tables[(word - 1) / 8].used
  :: else -> value = tables[(word - 1) / 8].retired[(word - 1) % 8 - 1]
  fi
}

inline store_word(word, value) {
  if
  :: (word - 1) % 8 == 0 -> tables[(word - 1) / 8].used = value
  :: else -> tables[(word - 1) / 8].retired[(word - 1) % 8 - 1] = value
  fi
}

inline undo_uncommitted() {
  d_step {
    if
    :: intent_word != 0 && intent_sequence > sequence -> store_word(intent_word, intent_before)
    :: else
    fi;
    intent_word = 0
  }
}

/* Leaves whether it has committed in `done`. */
inline commit(word, value) {
  done = false;
  if
#ifdef BUG_COMMITS_BLINDLY
  :: false
#else
  :: sequence != planned - 1
#endif
  :: else ->
     outer_before = intent_before;
     outer_sequence = intent_sequence;
     d_step { load_word(word, intent_before) }
     intent_sequence = planned;
     intent_word = word;
     d_step { store_word(word, value) }
     atomic {
       if
       :: sequence == planned - 1 -> sequence = planned; done = true
       :: else
       fi
     }
     intent_word = 0;
     intent_before = outer_before;
     intent_sequence = outer_sequence
  fi
}

/* A copy in the place of the table in force, if nobody was quicker.  Nobody sees it before. */
inline renew_table() {
  d_step {
    t = current;
    i = 0;
    assert(whole || tables_made < TABLES);
    tables[tables_made].used = tables[t].used;
    do
    :: i < tables[t].used ->
       tables[tables_made].hook[i] = tables[t].hook[i];
       tables[tables_made].added[i] = tables[t].added[i];
       tables[tables_made].retired[i] = tables[t].retired[i];
       i++
    :: else -> break
    od;
    i = tables_made;
    tables_made++
  }
  atomic {
    if
    :: current == t -> current = i
    :: else -> i = TABLES
    fi
  }
  if
  :: i < TABLES -> sequence++
  :: else
  fi
}

/* A handler takes a copy, or has no memory for one: then it leaves the interrupted update as it was. */
inline update_begin(nested) {
  possible = true;
  if
  :: !nested -> undo_uncommitted()
  :: nested ->
#ifdef BUG_WORKS_IN_PLACE
     undo_uncommitted()
#else
     if
     :: undo_uncommitted(); renew_table()
#ifdef BUG_UNDOES_WITHOUT_MEMORY
     :: undo_uncommitted(); possible = false
#else
     :: true -> possible = false
#endif
     fi
#endif
  fi
}

/* Leaves the slot of a hook that is not retired in i, or one too many. */
inline find(id) {
  i = 0;
  do
  :: i < tables[t].used && (tables[t].hook[i] != id || tables[t].retired[i] != 0) -> i++
  :: else -> break
  od
}

inline add(id, nested) {
  update_begin(nested);
  done = false;
  known[id] = ADDING;
  do
  :: possible && !done ->
     planned = sequence + 1;
     t = current;
     atomic {
       i = tables[t].used;
       assert(whole || i < SLOTS);
       tables[t].hook[i] = id;
       tables[t].added[i] = planned;
       tables[t].retired[i] = 0
     }
     commit(WORD(t, 0), i + 1)
  :: else -> break
  od;
  if
  :: done -> known[id] = LIVE
  :: else -> known[id] = UNKNOWN
  fi
}

inline retire(id, nested) {
#ifdef BUG_UNDOES_AND_LEAVES
  undo_uncommitted();
#endif
  atomic { t = current; find(id) }
  if
  :: i < tables[t].used ->
     update_begin(nested);
     done = false;
     do
     :: possible && !done ->
        planned = sequence + 1;
        t = current;
        atomic { find(id) }
        if
        :: i < tables[t].used ->
           known[id] = RETIRING;
           commit(WORD(t, i + 1), planned)
        :: else -> break
        fi
     :: else -> break
     od;
     if
     :: done -> known[id] = GONE
     :: else
     fi
  :: else
  fi
}

/* Whether a walk that began at s sees a hook in table t. */
inline count(id, s) {
  n = 0;
  i = 0;
  do
  :: i < tables[t].used ->
     if
     :: tables[t].hook[i] == id && tables[t].added[i] <= s && (tables[t].retired[i] == 0 || tables[t].retired[i] > s) -> n++
     :: else
     fi;
     i++
  :: else -> break
  od
}

/* What callers were told is so before this walk began: before[]. */
inline check_walk(s) {
  d_step {
    id = 1;
    do
    :: id < HOOKS ->
       count(id, s);
       assert(whole || n <= 1);
       assert(whole || before[id] != LIVE || n == 1 || known[id] >= RETIRING);
       assert(whole || (before[id] != GONE && before[id] != UNKNOWN) || n == 0 || known[id] == ADDING || known[id] == LIVE);
       id++
    :: else -> break
    od;
    id = 0
  }
}

inline note_known() {
  d_step {
    id = 0;
    do
    :: id < HOOKS -> before[id] = known[id]; id++
    :: else -> break
    od;
    id = 0
  }
}

#define LOCALS \
  byte planned, t, i, outer_before, outer_sequence; \
  bool done, possible

proctype Updater() provided (!handling && !is_child) {
  LOCALS;
  updating = true;
  if
  :: add(3, false)
  :: retire(1, false)
  :: renew_table() /* registry_collect() */
  fi;
  updating = false
}

/* Under the lock of the update that it interrupts. */
proctype Handler() provided (!is_child) {
  LOCALS;
  atomic { updating -> handling = true }
  if
  :: add(4, true)
  :: retire(2, true)
  :: known[1] == LIVE -> retire(1, true)
  :: retire(6, true) /* there is no such hook */
  fi;
  handling = false
}

proctype Other() {
  LOCALS;
  byte s, n, id;
  byte before[HOOKS];
  if
  :: atomic { note_known(); s = sequence }
     t = current;
     check_walk(s)
  :: atomic { is_child = true; note_known() } /* the lock is free here, and what the others knew stays behind */
     undo_uncommitted();
     t = current;
     check_walk(sequence);
     add(5, false);
     retire(2, false);
     t = current;
     note_known();
     check_walk(sequence)
  fi
}

init {
  byte s, n, id, i, t;
  byte before[HOOKS];
  atomic {
    tables[0].used = 2;
    tables[0].hook[0] = 1;
    tables[0].added[0] = 1;
    tables[0].hook[1] = 2;
    tables[0].added[1] = 2;
    known[1] = LIVE;
    known[2] = LIVE;
    run Updater();
    run Handler();
    run Other()
  }
  timeout;
  atomic {
    t = current;
    note_known();
    check_walk(sequence)
  }
}

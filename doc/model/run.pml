/* SPDX-License-Identifier: MIT */
/* ---- When nothing moves any more ---- */

inline check_end() {
  assert(deadlock || scripts == 0);
  for (i : 0 .. FRAMES - 1) {
    assert(whole || frame_thread[i] == 0)
  }
  for (i : 0 .. SLOTS - 1) {
    assert(whole || i >= used || added[i] <= sequence);
    assert(whole || i == 0 || i >= used || added[i - 1] < added[i]); /* no id twice */
    assert(whole || (retired[i] >> 1) <= sequence);
    assert(final || retired[i] == 0 || buried[i]);
    assert(final || !buried[i] || destroyed[i] == 1 || left_behind[i]);
    assert(once || !IN(missed, i) || ran[i] == 1 || buried[i])
  }
  assert(whole || intent_word == 0);
  assert(whole || retired_count == 0);
  assert(whole || under_way < 128) /* never too low */
}

proctype Script1(byte t) MINE {
  LOCALS;
  byte x;
  script_1();
  finish_script()
}

proctype Script2(byte t) MINE {
  LOCALS;
  byte x;
  script_2();
  finish_script()
}

init {
  byte i;
  atomic {
    for (i : 0 .. HOOKS - 1) {
      added[i] = i + 1
    }
    scripts = 2;
    turn[1] = 1;
    turn[2] = 2;
    thread_of[1] = 1;
    thread_of[2] = 2;
    run Script1(1);
    run Script2(2);
    START;
    i = 0
  }
  timeout;
  check_end()
}

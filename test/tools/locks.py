#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Locks of lost threads, waits without an end, and `atfork explore`.  Speaks the Test Anything Protocol.

locks.py ATFORK PROGRAM    PROGRAM is locks.c
"""
import json
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import tap  # noqa: E402

ATFORK, PROGRAM = sys.argv[1:3]


def run(command, what, *options):
    slow = ("--slow", "600000") if command == "doctor" else ()  # a handler may wait long for a processor
    return subprocess.run([ATFORK, command, "--json", *slow, *options, "--", PROGRAM, what], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=tap.PATIENCE, universal_newlines=True, check=False)


def all_findings(command, what, *options):
    ran = run(command, what, *options)
    report = ran.stdout[ran.stdout.index("{\n"):] if "{\n" in ran.stdout else ran.stdout[ran.stdout.index("{"):]
    return json.loads(report)["findings"]


def findings(command, what, *options):
    """Those that are no notes."""
    return [one for one in all_findings(command, what, *options) if one["severity"] != "note"]


def rules(command, what, *options):
    return [(one["severity"], one["rule"]) for one in findings(command, what, *options)]


def stack(finding, role):
    for location in finding["locations"]:
        if location["role"] == role:
            return [frame["function"] for frame in location["frames"]]
    raise AssertionError(f"no stack \"{role}\" in {finding}")


def test_a_dead_lock_is_named():
    found = findings("doctor", "holder")
    tap.equal([(one["severity"], one["rule"]) for one in found], [("error", "dead-lock")])
    assert "mutex" in found[0]["message"] and "thread holder (" in found[0]["message"], found[0]["message"]
    tap.equal(stack(found[0], "the lock was taken")[0], "take_the_lock")
    tap.equal(stack(found[0], "the child waits")[:3], ["wait_for_the_lock", "in_child", "main_of"])
    tap.equal(stack(found[0], "the fork")[:2], ["in_child", "main_of"])


def test_a_child_that_is_stuck_is_ended():
    ran = run("doctor", "holder", "--fail-on", "never")
    tap.equal(ran.returncode, 125)


def test_a_wait_with_a_limit_goes_on():
    found = findings("doctor", "timed")
    tap.equal([(one["severity"], one["rule"], one["count"]) for one in found], [("error", "dead-lock", 1)])
    tap.equal(run("doctor", "timed", "--fail-on", "never").returncode, 42)


def test_a_lock_that_is_made_anew_late_is_not_held():
    tap.equal(rules("doctor", "made-anew"), [])


def test_a_lock_that_is_held_is_told():
    tap.equal(rules("doctor", "held"), [("warning", "held-lock")])


def test_a_thread_of_c11_is_lost_only_while_it_runs():
    tap.equal([one["rule"] for one in all_findings("doctor", "c11-stays")], ["lost-thread"])
    tap.equal(all_findings("doctor", "c11-joined"), [])


def test_a_lock_of_c11_is_watched():
    found = findings("doctor", "c11")
    tap.equal([(one["severity"], one["rule"]) for one in found], [("error", "dead-lock")])
    assert found[0]["message"].startswith("mtx_lock() waits"), found[0]
    tap.equal(stack(found[0], "the lock was taken")[0], "take_c11")


def test_many_semaphores_leave_room_for_a_lock():
    found = findings("doctor", "many")
    tap.equal([one["rule"] for one in found], ["dead-lock"])
    tap.equal(stack(found[0], "the lock was taken")[0], "take_before_many")


def test_locks_may_be_given_back_out_of_order():
    found = findings("doctor", "out-of-order")
    tap.equal([one["rule"] for one in found], ["held-lock"])
    tap.equal(stack(found[0], "the lock was taken")[0], "take_second")


def test_a_writer_waits_for_a_lost_reader():
    found = findings("doctor", "reader")
    tap.equal([(one["severity"], one["rule"]) for one in found], [("error", "dead-lock")])
    tap.equal(stack(found[0], "the lock was taken")[0], "read_table")


def test_a_recursive_mutex_is_not_the_childs():
    found = findings("doctor", "recursive")
    tap.equal([one["rule"] for one in found], ["dead-lock"])
    tap.equal(stack(found[0], "the lock was taken")[0], "own_recursive")


def test_a_signal_that_would_hang_is_told():
    found = findings("doctor", "signal-twice")
    tap.equal({one["rule"] for one in found}, {"lost-waiter"})
    assert any(one["severity"] == "error" for one in found), found


def test_a_lock_inside_the_c_library_is_told():
    found = findings("doctor", "library")
    tap.equal([(one["severity"], one["rule"]) for one in found], [("error", "dead-lock")])
    assert "hang_in_library" in stack(found[0], "the child waits"), found[0]


def test_explore_finds_a_dead_lock():
    found = findings("explore", "explored", "--runs", "0", "--probe", "use_cache")
    tap.equal([(one["severity"], one["rule"]) for one in found], [("error", "dead-lock")])
    tap.equal(stack(found[0], "the lock was taken")[:2], ["use_cache", "explored"])
    tap.equal(stack(found[0], "the child waits")[0], "use_cache")
    tap.equal(run("explore", "explored", "--runs", "0", "--probe", "use_cache").returncode, 100)


def test_explore_takes_fork_handlers_for_what_they_are():
    ran = run("explore", "explored", "--runs", "0", "--probe", "use_guarded")
    tap.equal(ran.returncode, 0)
    tap.equal(json.loads(ran.stdout)["findings"], [])
    assert "10 of 10 lock operations" in ran.stderr, ran.stderr
    assert "5 forks waited for the lock in a fork handler" in ran.stderr, ran.stderr


def operations(seed, runs=3):
    ran = run("explore", "explored", "--runs", str(runs), "--seed", str(seed), "--probe", "use_cache")
    assert f"{runs} of 10 lock operations probed (seed {seed})" in ran.stderr, ran.stderr
    # A probe may end while a thread of its own writes a record.
    said = [line for line in ran.stderr.splitlines() if "unfinished: a process ended" not in line]
    return said, re.findall(r"lock operation (\d+)", ran.stdout)


def test_explore_does_the_same_for_the_same_seed():
    tap.equal([operations(seed) for seed in range(6)], [operations(seed) for seed in range(6)])


def test_explore_chooses_by_the_seed():
    assert len({str(operations(seed, 1)[1]) for seed in range(8)}) > 1


def test_explore_runs_nothing_again_that_was_interrupted():
    for name in ("INT", "TERM", "KILL"):
        ran = subprocess.run([ATFORK, "explore", "--", "sh", "-c", f"echo run; kill -{name} $$"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=tap.PATIENCE, universal_newlines=True, check=False)
        tap.equal((ran.returncode, ran.stdout), (128 + signal.Signals[f"SIG{name}"], "run\n"))
        assert f"SIG{name} ended the run that counts" in ran.stderr, ran.stderr


def test_explore_ignores_for_both_runs_what_was_ignored():
    """As nohup(1) does, and a shell for what it runs in the background."""
    ignores = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh"]
    ran = subprocess.run([*ignores, ATFORK, "explore", "--", "grep", "SigIgn", "/proc/self/status"],
                         stdout=subprocess.PIPE, timeout=tap.PATIENCE, universal_newlines=True, check=True)
    first, second = ran.stdout.splitlines()
    tap.equal(second, first)


def test_explore_ends_what_hangs():
    found = findings("explore", "explored", "--runs", "1", "--probe", "hang")
    tap.equal([one["rule"] for one in found], ["dead-lock"])
    assert "--probe" in found[0]["message"], found[0]
    assert "hang" in stack(found[0], "the child waits"), found[0]


def test_explore_tells_of_crashes():
    assert "1 probes crashed" in run("explore", "explored", "--runs", "1", "--probe", "crash").stderr


def test_explore_tells_of_a_missing_function():
    ran = run("explore", "explored", "--runs", "1", "--probe", "no_such")
    tap.equal(ran.returncode, 125)
    assert "no function no_such" in ran.stderr, ran.stderr


def test_explore_keeps_its_children_to_itself():
    tap.equal(run("explore", "waits", "--runs", "0").returncode, 0)


def test_explore_names_bad_arguments():
    for arguments, words in ((["--runs", "-1"], "--runs"), (["--wait", "0"], "--wait"), (["--probe", "x" * 200], "--probe")):
        ran = run("explore", "explored", *arguments)
        tap.equal(ran.returncode, 125)
        assert words in ran.stderr, ran.stderr


if __name__ == "__main__":
    sys.exit(tap.run(globals()))

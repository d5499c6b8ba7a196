#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`atfork doctor` on state that two processes have.  Speaks the Test Anything Protocol.

state.py ATFORK PROGRAM    PROGRAM is state.c
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import tap  # noqa: E402

ATFORK, PROGRAM = sys.argv[1:3]

GENERATORS = ("rand", "random", "rand_r", "drand48", "lrand48", "mrand48", "erand48", "nrand48", "jrand48", "random_r",
              "drand48_r", "lrand48_r", "mrand48_r", "erand48_r", "nrand48_r", "jrand48_r")


def run(*command):
    with tempfile.NamedTemporaryFile() as report:
        ran = subprocess.run([ATFORK, "doctor", "--json", "--slow", "600000", "--output", report.name, "--", *command],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             timeout=tap.PATIENCE,
                             universal_newlines=True, check=False)
        if ran.returncode not in (0, 100):
            raise AssertionError(f"{command}: {ran.returncode}: {ran.stderr}")
        with open(report.name, encoding="utf-8") as file:
            return json.load(file)["findings"]


def found(*case):
    return sorted((finding["severity"], finding["rule"]) for finding in run(PROGRAM, *case))


def finds(rule, *case, severity="warning"):
    findings = found(*case)
    if findings != [(severity, rule)]:
        raise AssertionError(f"{case}: found {findings}, expected {severity} {rule}")


def finds_nothing(*case):
    findings = found(*case)
    if findings:
        raise AssertionError(f"{case}: found {findings}, expected nothing")


# ---- Random numbers ----

def test_each_generator_of_the_c_library_is_seen():
    for generator in GENERATORS:
        finds("same-random", "draws", generator, severity="error")


def test_siblings_and_children_of_a_later_fork_draw_the_same():
    finds("same-random", "draws-in-siblings", severity="error")
    finds("same-random", "draws-after-second-fork", severity="error")
    finds("same-random", "draws-from-own-state", severity="error")


def test_a_generator_that_is_seeded_anew_is_no_fault():
    finds_nothing("draws-seeded-alike")
    finds_nothing("draws-other-numbers")
    finds_nothing("draws-from-local")


def test_a_generator_that_nobody_seeded_is_a_fault_where_it_goes_on():
    finds("same-random", "draws-unseeded", severity="warning")
    finds("same-random", "draws-unseeded-again", severity="error")


def test_both_draws_are_shown():
    finding, = run(PROGRAM, "draws", "lrand48")
    functions = [location["frames"][0]["function"] for location in finding["locations"]]
    tap.equal(functions, ["draw", "draw"])


# ---- Descriptors ----

def test_each_way_to_use_a_connection_is_seen():
    for use in ("read", "readv", "recv", "recvfrom", "recvmsg", "recvmmsg", "write", "writev", "send", "sendto",
                "sendmsg", "sendmmsg", "dprintf"):
        finds("shared-descriptor", "uses", use)
    finds_nothing("uses", "peek")


def test_what_moves_an_offset_is_seen():
    for use in ("sendfile", "lseek"):
        finds("shared-descriptor", "uses-file", use)
    for use in ("sendfile from", "where", "pread"):
        finds_nothing("uses-file", use)


def test_streams_use_their_descriptors():
    finds("shared-descriptor", "prints-to-connection")
    finds("shared-descriptor", "reads-by-stream")
    finds("shared-descriptor", "gives-back")
    finds_nothing("reads-what-was-ahead")


def test_a_directory_is_read_by_one():
    finds("shared-descriptor", "reads-directory")


def test_workers_may_take_single_bytes():
    finds_nothing("takes-in-siblings", "bytes")
    finds("shared-descriptor", "takes-in-siblings", "pieces")


def test_a_description_is_followed_not_its_number():
    finds("shared-descriptor", "uses-copy")
    finds_nothing("uses-other-of-same-number")


def test_a_child_that_takes_the_place_of_another_is_no_fault():
    finds_nothing("uses-in-turn")


def test_what_is_done_under_a_lock_for_processes_is_no_fault():
    finds_nothing("uses-under-flock")
    finds_nothing("uses-under-shared-mutex")
    finds("shared-descriptor", "uses-under-own-mutex")


def test_an_eventfd_that_is_a_semaphore_is_for_all():
    finds("shared-descriptor", "takes-events", "counter")
    finds_nothing("takes-events", "semaphore")


def test_standard_streams_are_for_all():
    finds_nothing("reads-input")


# ---- What goes past exec ----

def test_a_descriptor_leaks_by_each_way_to_start_a_program():
    for way in ("starts-by-fork", "starts-by-vfork", "starts-by-spawn"):
        finds("leaked-descriptor", way, "leaks")


def test_what_is_set_up_for_the_program_is_no_leak():
    for way in ("starts-by-fork", "starts-by-vfork"):
        for care in ("dup2", "close", "fcntl", "cloexec", "standard", "fails", "sweep", "list"):
            finds_nothing(way, care)
    finds_nothing("starts-with-own")
    for care in ("dup2", "close", "closefrom"):
        finds_nothing("starts-by-spawn", care)


def test_what_the_program_is_told_of_is_no_leak():
    finds_nothing("starts-told")


def test_what_the_program_uses_is_no_leak():
    finds_nothing("starts-user", "reads")
    finds("leaked-descriptor", "starts-user", "does not read")


def test_a_file_leaks_where_it_can_be_written_to():
    finds("leaked-descriptor", "starts-with-file", "w")
    finds_nothing("starts-with-file", "we")
    finds_nothing("starts-with-file", "r")


def test_a_leak_is_shown_where_it_was_opened():
    finding, = run(PROGRAM, "starts-by-vfork", "leaks")
    tap.equal(finding["locations"][0]["frames"][0]["function"], "opens")


def test_a_shell_hands_down_what_its_script_opens():
    tap.equal(run("bash", "-c", "exec 3>/dev/shm/state-$$; rm /dev/shm/state-$$; true; /bin/true; /bin/true"), [])


# ---- Output, exit, temporary files ----

def test_output_comes_out_twice_however_it_is_flushed():
    finds("double-output", "outputs", "exit", severity="error")
    finds("double-output", "outputs", "full", severity="error")
    finds("double-output", "outputs-in-siblings", severity="error")
    finds("double-output", "outputs-wide", severity="error")
    finds("double-output", "outputs-to-program", severity="error")
    finds_nothing("outputs-wide", "underscore")


def test_output_that_one_of_them_drops_is_no_fault():
    for care in ("purge", "null", "underscore"):
        finds_nothing("outputs", care)


def test_an_exit_handler_may_ask_which_process_it_runs_in():
    finds("exit-handler", "exits", "blindly")
    finds_nothing("exits", "getpid")
    finds_nothing("exits", "generation")


def test_an_exit_handler_that_nobody_notices_is_to_know():
    finds("exit-handler", "exits", "memory", severity="note")


def test_each_way_to_delete_a_file_is_seen():
    for way in ("unlink", "remove", "unlinkat"):
        finds("deleted-file", "deletes", way, severity="error")
    finds("deleted-file", "opens-exclusively", severity="error")


def test_a_file_that_is_missed_was_not_given_away():
    for way in ("fopen", "access", "stat", "rename", "unlink"):
        finds("deleted-file", "misses", way, severity="error")
    finds_nothing("misses", "by nobody")
    finds_nothing("deletes-renamed")


# ---- Hooks of libatfork ----

def test_hooks_that_are_polled_are_not_missed():
    finds_nothing("polls")


# ---- Libraries that are loaded for one object alone ----

TLS = """
import os, ssl
session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
def use():
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
use()
child = os.fork()
if child == 0:
    use()
    os._exit(0)
os.waitpid(child, 0)
%s
"""


def test_a_session_of_a_hidden_library_is_seen():
    if subprocess.run(["/usr/bin/python3", "-c", "import ssl"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise tap.Skipped("/usr/bin/python3 has no ssl")
    findings = run("/usr/bin/python3", "-c", TLS % "use()")
    tap.equal([finding["rule"] for finding in findings], ["shared-session"])
    tap.equal(run("/usr/bin/python3", "-c", TLS % ""), [])


sys.exit(tap.run(globals()))

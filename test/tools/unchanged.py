#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A watched program does what it does unwatched.  Speaks the Test Anything Protocol.

unchanged.py ATFORK PROGRAM GUARDED PLUGIN PLUGIN    PROGRAM is unchanged.c, GUARDED guarded.c; PLUGINs are linked
                                                     with copies of one library
"""
import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import tap  # noqa: E402

ATFORK, PROGRAM, GUARDED, *PLUGINS = sys.argv[1:6]


def outcome(*command):
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         timeout=tap.PATIENCE,
                         universal_newlines=True, check=False)
    return ran.returncode, ran.stdout, ran.stderr


def is_unchanged(*case):
    """What the program says, after it was seen to say the same watched."""
    return is_unchanged_program(PROGRAM, *case)


def is_unchanged_program(*command):
    plain = outcome(*command)
    watched = outcome(ATFORK, "doctor", "--output", "/dev/null", "--", *command)
    tap.equal(watched, plain)
    tap.equal(plain[0], 0)
    return plain[1]


def test_a_call_in_vain_fails_as_it_does():
    tap.equal(is_unchanged("closes-nothing"), "closedir: -1, Invalid argument\n")
    tap.equal(is_unchanged("makes-nothing"), "clone: -1, Invalid argument\n")
    tap.equal(is_unchanged("starts-nothing"), "execve: -1, Bad address\nposix_spawn: 14, Success\n")


def test_errno_stays():
    tap.equal(is_unchanged("closes-memory"), "fclose: 0, Success\n")


@contextlib.contextmanager
def other_root():
    """A directory that has what /bin/true needs, and nothing of ours."""
    needed = subprocess.run(["ldd", "/bin/true"], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
    files = ["/bin/true", *(word for word in needed.split() if word.startswith("/"))]
    with tempfile.TemporaryDirectory() as root:
        for file in files:
            copy = pathlib.Path(root + file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        if outcome(PROGRAM, "changes-root", root, "/bin/true")[0] == 77:
            raise tap.Skipped("another root wants a privilege")
        yield root


def test_a_program_in_another_root_is_left_alone():
    with other_root() as root:
        is_unchanged("changes-root", root, "/bin/true")


def test_so_is_one_that_could_not_find_the_log():
    hidden = 'mount -t tmpfs none "$(dirname "${ATFORK_WATCH_LOG:-/dev/shm/none}")" && exec "$@"'
    mounts = ["unshare", "--mount", "sh", "-c", hidden, "sh"]
    with other_root() as root:
        if outcome(*mounts, "true")[0] != 0:
            raise tap.Skipped("a mount wants a privilege")
        command = [*mounts, PROGRAM, "changes-root", root, "/bin/true"]
        plain = outcome(*command)
        watched = outcome(ATFORK, "tree", "--output", "/dev/null", "--", "sh", "-c", '"$@"; exit $?', "sh", *command)
        tap.equal(watched, plain)


def test_a_child_that_may_only_read_lives():
    said = is_unchanged("may-only-read")
    if said == f"read: {77 << 8}, Success\n":
        raise tap.Skipped("the kernel has no such mode")
    tap.equal(said, "read: 0, Success\n")


def test_a_full_file_system_costs_records_only():
    mounts = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=8m tmpfs /dev/shm && TMPDIR=/dev/shm exec \"$@\"", "sh"]
    program = [PROGRAM, "fills-memory", "/dev/shm/filler"]
    if outcome(*mounts, "true")[0] != 0:
        raise tap.Skipped("a mount wants a privilege")
    status, said, complaint = outcome(*mounts, ATFORK, "doctor", "--output", "/dev/null", "--", *program)
    tap.equal((status, said), (0, "children: 0, Success\n"))
    if "records are lost" not in complaint:
        raise AssertionError(f"nothing is said of lost records: {complaint}")


def test_streams_that_the_c_library_closed_are_let_be():
    if outcome(GUARDED)[0] == 77:
        raise tap.Skipped("there are no users")
    is_unchanged_program(GUARDED)


def test_each_copy_of_a_library_serves_who_is_linked_with_it():
    tap.equal(is_unchanged("has-two-copies", *PLUGINS), "copy 1\ncopy 2\n")


sys.exit(tap.run(globals()))

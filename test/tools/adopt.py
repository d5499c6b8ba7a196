#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""atfork run --adopt: what becomes of fork handlers.  Speaks the Test Anything Protocol.

adopt.py ATFORK PROGRAM PLUGIN LINKED STATIC NEEDING FIRST_OF_ALL PAGE

PROGRAM is adopted.c, PLUGIN adopted_plugin.c; LINKED and STATIC are adopted_library.c, with the shared and with the
static library, and NEEDING the first with a shared object that has a copy of the library in it.
FIRST_OF_ALL is adopted_first.c, and PAGE doc/tools.md, which has samples.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import setuid  # noqa: E402
import tap  # noqa: E402

ATFORK, PROGRAM, PLUGIN, LINKED, STATIC, NEEDING, FIRST_OF_ALL, PAGE = (os.path.abspath(path) for path in sys.argv[1:9])
FIRST, ALONE = ["prepare first", "child first", "parent first"], "child alone"


def run(*arguments, **options):
    return subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=tap.PATIENCE,
                          universal_newlines=True, check=False, **options)


def adopted(case, *options, priorities=None):
    """The lines that the program prints, with its handlers adopted."""
    with tempfile.NamedTemporaryFile("w") as file:
        if priorities is not None:
            file.write(priorities)
            file.flush()
            options += ("--priorities", file.name)
        ran = run(ATFORK, "run", "--adopt", *options, "--", PROGRAM, case, PLUGIN)
    tap.equal((ran.stderr, ran.returncode), ("", 0))
    return ran.stdout.splitlines()


def of(side, lines):
    """What one process of a fork did: its parent, or its child, whose lines may come in between."""
    words = {"parent": ("prepare", "parent"), "child": ("child", "born")}[side]
    return [line for line in lines if line.split()[0] in words]


def says(ran, status, words):
    tap.equal(ran.returncode, status)
    if words not in ran.stderr:
        raise AssertionError(f"\"{words}\" is not in: {ran.stderr}")


def test_handlers_run_in_the_order_of_pthread_atfork():
    plain = run(PROGRAM, "in-order", PLUGIN).stdout.splitlines()
    lines = adopted("in-order")
    tap.equal(of("parent", lines), ["prepare last", "prepare plugin", "prepare first",
                                    "parent first", "parent plugin", "parent last"])
    tap.equal(of("child", lines), ["child first", "child plugin", "child last", "born"])
    for side in ("parent", "child"):
        tap.equal(of(side, lines), of(side, plain))


def test_handlers_are_hooks_that_are_named_for_their_objects():
    lines = adopted("listed")
    tap.equal(lines, ["adopt -32768", f"{os.path.basename(PROGRAM)} 0", f"{os.path.basename(PLUGIN)} 0"])


def test_a_handler_of_an_old_program_is_a_hook():
    tap.equal(adopted("old")[1:3], [f"{os.path.basename(PROGRAM)} 0"] * 2)


def test_a_priority_is_of_a_files_name():
    priorities = f"# A comment\n\n  {os.path.basename(PLUGIN)}\t 10  \n"
    lines = adopted("in-order", priorities=priorities)
    tap.equal(of("parent", lines), ["prepare plugin", "prepare last", "prepare first",
                                    "parent first", "parent last", "parent plugin"])
    tap.equal(of("child", lines), ["child first", "child last", "child plugin", "born"])


def test_a_priority_is_of_a_path_where_the_pattern_has_a_slash():
    tap.equal(adopted("listed", priorities=f"{PLUGIN} -7\n")[1], f"{os.path.basename(PLUGIN)} -7")
    tap.equal(adopted("listed", priorities="/nowhere/*.so -7\n*/adopted* -3\n")[1:],
              [f"{os.path.basename(PROGRAM)} -3", f"{os.path.basename(PLUGIN)} 0"])


def test_the_first_pattern_that_matches_counts():
    lines = adopted("listed", priorities="*adopted-plugin* -1\n* -2\n")
    tap.equal(lines[1:], [f"{os.path.basename(PROGRAM)} -2", f"{os.path.basename(PLUGIN)} -1"])


def test_the_lowest_priority_is_still_paired():
    lines = adopted("in-order", priorities="* -32768\n")
    tap.equal(of("child", lines), ["child first", "child plugin", "child last", "born"])


def test_the_pages_sample_runs():
    """With a program that there is, in a directory that has the file of priorities."""
    command, priorities = re.search(r"^```sh\n(atfork run .*)\n```\n\n```\n(.*?)^```$", pathlib.Path(PAGE).read_text(),
                                    re.M | re.S).groups()
    options = shlex.split(command)[1:-1]
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory, "priorities.txt").write_text(priorities)
        ran = run(ATFORK, *options, PROGRAM, "listed", PLUGIN, cwd=directory)
        tap.equal((ran.returncode, ran.stderr), (0, ""))
        ran = run(ATFORK, *options, "sh", "-c", "echo \"$ATFORK_ADOPT_PRIORITIES\"", cwd=directory)
        tap.equal(ran.stdout, "-100 libjemalloc.so*\n10 */plugins/*.so\n\n")


def test_a_bad_line_is_named():
    bad = {
        "libfoo.so": "PATTERN PRIORITY expected, not \"libfoo.so\"",
        "libfoo.so ten": "a priority from -32768 to 32767 expected, not \"ten\"",
        "libfoo.so 32768": "not \"32768\"",
        "libfoo.so -32769": "not \"-32769\"",
        "libfoo.so 1.5": "not \"1.5\"",
    }
    for line, words in bad.items():
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(f"# fine\nlibbar.so 3\n{line}\n")
            file.flush()
            says(run(ATFORK, "run", "--adopt", "--priorities", file.name, "--", "true"), 125, f"{file.name}:3: ")
            says(run(ATFORK, "run", "--adopt", "--priorities", file.name, "--", "true"), 125, words)


def test_a_file_that_is_missing_or_no_text_is_named():
    says(run(ATFORK, "run", "--adopt", "--priorities", "/nonexistent", "--", "true"), 125, "/nonexistent")
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(b"lib\0foo 3\n")
        file.flush()
        says(run(ATFORK, "run", "--adopt", "--priorities", file.name, "--", "true"), 125, "it is not a text file")
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(b"libfoo.so 3\n" * 20000)
        file.flush()
        says(run(ATFORK, "run", "--adopt", "--priorities", file.name, "--", "true"), 125, "it is too long")


def test_handlers_go_with_their_object():
    tap.equal(sorted(adopted("unloaded")), sorted(FIRST + ["born"]))


def test_many_handlers_run_and_those_of_objects_that_are_gone_leave_nothing():
    tap.equal(adopted("many"), [ALONE] * 1000 + ["born"])


def test_a_registration_of_nothing_is_none():
    tap.equal(adopted("nothing"), ["born"])


def bypassed(*options):
    """What is printed in a bypassing fork, and in the ordinary one behind it, for each way to make one.  Before it,
    there is another ordinary one."""
    for way in ("_Fork", "clone", "fork-call", "clone-call", "clone3-call"):
        lines = adopted(way, *options)[len(FIRST) + 1:]
        end = lines.index("born") + 1
        yield way, lines[:end], sorted(lines[end:])


def expect(bypassed_forks, lines):
    for way, seen, behind in bypassed_forks:
        tap.equal((way, seen, behind), (way, lines, sorted(FIRST + [ALONE, "born"])))


def test_a_child_handler_with_no_prepare_runs_in_bypassing_forks():
    expect(bypassed(), [ALONE, "born"])


def test_all_child_handlers_run_in_bypassing_forks_where_that_is_asked_for():
    expect(bypassed("--bypassing", "all"), ["child first", ALONE, "born"])


def test_none_runs_in_bypassing_forks_where_that_is_asked_for():
    expect(bypassed("--bypassing", "none"), ["born"])


def test_what_shares_its_parents_memory_is_left_alone():
    tap.equal(adopted("vfork"), ["parent goes on"])
    tap.equal(adopted("call-with-stack"), ["parent goes on"])


def test_a_child_that_nobody_saw_catches_up_before_its_first_fork():
    lines = adopted("instruction")
    tap.equal(lines[0], ALONE)
    tap.equal(sorted(lines[1:]), sorted(FIRST + [ALONE, "born", "born"]))


def test_a_handler_of_a_child_may_fork():
    lines = adopted("nested")
    plain = run(PROGRAM, "nested", PLUGIN).stdout.splitlines()
    tap.equal(sorted(lines), sorted(plain))
    tap.equal(lines.count("child last"), 2)


def test_handlers_run_in_forks_at_exit():
    lines = adopted("at-exit")
    tap.equal(of("child", lines)[-1], "born")
    assert "child first" in lines, lines


def test_handlers_and_hooks_of_a_program_have_one_order():
    expected = ["hook before", "handler", "hook behind", "generation 1"]
    for program in (LINKED, STATIC):
        ran = run(ATFORK, "run", "--adopt", "--", program)
        tap.equal((ran.stdout.splitlines(), ran.stderr), (expected, ""))


def test_a_copy_of_the_library_that_is_loaded_first_has_them_too():
    ran = run(ATFORK, "run", "--adopt", "--", NEEDING)
    expected = ["hook before", "handler", "hook behind", "hook of the copy", "generation 1"]
    tap.equal((ran.stdout.splitlines(), ran.stderr), (expected, ""))


def test_what_is_registered_before_the_c_library_is_ready_stays_with_it():
    ran = run(ATFORK, "run", "--adopt", "--", PROGRAM, "nothing", PLUGIN, env=dict(os.environ, LD_PRELOAD=FIRST_OF_ALL))
    tap.equal((ran.stdout.splitlines(), ran.returncode), (["child of the first", "born"], 0))


def test_the_commands_status_and_arguments_are_its_own():
    tap.equal(run(ATFORK, "run", "--adopt", "sh", "-c", "exit 7").returncode, 7)
    tap.equal(run(ATFORK, "run", "--adopt", "--", "echo", "--adopt").stdout, "--adopt\n")


def test_a_script_is_run_as_a_shell_runs_it():
    """Also one whose first line names no interpreter."""
    with tempfile.TemporaryDirectory() as directory:
        script = pathlib.Path(directory, "script")
        script.write_text('echo "$0 $*"\nexit 3\n')
        script.chmod(0o755)
        ran = run(ATFORK, "run", "--adopt", "--", "./script", "a  b", cwd=directory)
        tap.equal((ran.returncode, ran.stdout), (3, "./script a  b\n"))


def test_a_preload_of_the_users_own_is_kept():
    env = dict(os.environ, LD_PRELOAD="libm.so.6")
    ran = run(ATFORK, "run", "--adopt", "--", "sh", "-c", "echo $LD_PRELOAD", env=env)
    words = ran.stdout.strip().split(":")
    assert words[0].endswith("/libatfork-adopt.so") and words[1:] == ["libm.so.6"], ran


def test_bad_arguments_are_named():
    says(run(ATFORK, "run", "--adopt"), 125, "a command is needed")
    says(run(ATFORK, "run", "--", "true"), 125, "--adopt is needed")
    says(run(ATFORK, "run", "--adopt", "--bypassing", "some", "--", "true"), 125, "unpaired, all or none")
    says(run(ATFORK, "run", "--nonsense", "--", "true"), 125, "--nonsense")
    tap.equal(run(ATFORK, "run", "--help").returncode, 0)


def test_what_cannot_be_started_has_a_status_of_its_own():
    says(run(ATFORK, "run", "--adopt", "--", "no-such-command"), 127, "no-such-command: no such command")
    says(run(ATFORK, "run", "--adopt", "--", "/etc/passwd"), 126, "/etc/passwd: cannot be executed")


def test_a_static_program_is_refused():
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "static.c")
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["cc", "-static", "-o", f"{directory}/static", source], check=True)
        says(run(ATFORK, "run", "--adopt", "--", f"{directory}/static"), 125,
             f"cannot adopt the fork handlers of {directory}/static: it is linked statically")


def test_a_setuid_program_is_refused():
    with tempfile.TemporaryDirectory() as directory:
        program = setuid.program_of_another(directory)
        says(run(ATFORK, "run", "--adopt", "--", program), 125,
             f"cannot adopt the fork handlers of {program}: it runs as another user or group (setuid)")


if __name__ == "__main__":
    sys.exit(tap.run(globals()))

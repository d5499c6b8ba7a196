#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command `atfork`: its arguments, statuses and reports.  Speaks the Test Anything Protocol.

command.py ATFORK PROGRAM PLUGIN EARLY [SANITIZED]    PROGRAM is forks.c, PLUGIN plugin.c, EARLY early_signal.c,
                                                      SANITIZED static.c with AddressSanitizer, where there is such
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import setuid  # noqa: E402
import tap  # noqa: E402

ATFORK, PROGRAM, PLUGIN, EARLY = sys.argv[1:5]
SANITIZED = sys.argv[5:6]


def atfork(*arguments, command=ATFORK, **options):
    return subprocess.run([command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=tap.PATIENCE,
                          universal_newlines=True, check=False, **options)


# For those whose handlers do nothing: one may wait long for a processor.
NO_LIMIT = ("--slow", "600000")


def doctor(*arguments):
    return atfork("doctor", *NO_LIMIT, "--", PROGRAM, *arguments)


def found(*arguments):
    """The rules of what is found, with their severities, and the status."""
    ran = atfork("doctor", *NO_LIMIT, "--json", "--", PROGRAM, *arguments)
    report = json.loads(ran.stdout)
    return sorted((finding["severity"], finding["rule"]) for finding in report["findings"]), ran.returncode


def says(ran, status, words):
    tap.equal(ran.returncode, status)
    if words not in ran.stderr:
        raise AssertionError(f"\"{words}\" is not in: {ran.stderr}")


def test_help_names_each_command():
    ran = atfork("--help")
    tap.equal(ran.returncode, 0)
    for name in ("doctor",):
        assert f"atfork {name} " in ran.stdout, ran.stdout
        tap.equal(atfork(name, "--help").returncode, 0)


def test_bad_arguments_are_named():
    says(atfork(), 125, "atfork tree")
    says(atfork("tre"), 125, "no such command: tre")
    says(atfork("doctor"), 125, "a command is needed")
    says(atfork("doctor", "--nonsense", "--", "true"), 125, "--nonsense")
    says(atfork("doctor", "--fail-on", "everything", "--", "true"), 125, "--fail-on")
    for slow in ("-1", "1e300", "inf", "nan"):
        says(atfork("doctor", "--slow", slow, "--", "true"), 125, "--slow")
    says(atfork("doctor", "--suppressions", "/nonexistent", "--", "true"), 125, "/nonexistent")


def test_options_behind_the_command_are_the_commands():
    tap.equal(atfork("doctor", "sh", "-c", "exit 7").returncode, 7)
    tap.equal(atfork("doctor", "echo", "--json").stdout, "--json\n")


def test_the_commands_status_is_ours():
    tap.equal(atfork("doctor", "--", "sh", "-c", "exit 3").returncode, 3)
    tap.equal(atfork("tree", "--", "sh", "-c", "exit 3").returncode, 3)
    tap.equal(atfork("tree", "--", "sh", "-c", "kill -TERM $$").returncode, 128 + signal.SIGTERM)


def test_what_cannot_be_started_has_a_status_of_its_own():
    says(atfork("tree", "--", "no-such-command"), 127, "no-such-command: no such command")
    says(atfork("tree", "--", "/etc/passwd"), 126, "/etc/passwd: cannot be executed")


def test_a_script_is_run_as_a_shell_runs_it():
    """With its path as it was given, and by /bin/sh if its first line names nothing else."""
    with tempfile.TemporaryDirectory() as directory:
        for first in ("#!/bin/sh\n", ""):
            script = pathlib.Path(directory, "script")
            script.write_text(f'{first}echo "$0 $*"\nexit 3\n')
            script.chmod(0o755)
            ran = atfork("tree", "--", "./script", "a  b", command=os.path.abspath(ATFORK), cwd=directory)
            tap.equal((ran.returncode, ran.stdout), (3, "./script a  b\n"))


def test_a_static_program_cannot_be_watched():
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "static.c")
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["cc", "-static", "-o", f"{directory}/static", source], check=True)
        says(atfork("tree", "--", f"{directory}/static"), 125, "linked statically")


def test_a_program_of_another_c_library_runs_as_it_would():
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "musl.c")
        source.write_text("int main(void) { return 5; }\n")
        subprocess.run(["musl-gcc", "-o", f"{directory}/musl", source], check=True)
        says(atfork("tree", "--", f"{directory}/musl"), 125, "another C library")
        tap.equal(atfork("tree", "--", "sh", "-c", f"{directory}/musl").returncode, 5)
        tap.equal(atfork("tree", "--", "sh", "-c", f"{directory}/musl; exit $?").returncode, 5)


def test_a_setuid_program_is_left_alone():
    with tempfile.TemporaryDirectory() as directory:
        says(atfork("tree", "--", setuid.program_of_another(directory)), 125, "setuid")


def test_a_setuid_program_that_gains_nothing_is_watched():
    with tempfile.TemporaryDirectory() as directory:
        program = shutil.copy("/bin/true", directory)
        try:
            os.chown(program, 65534, -1)
        except PermissionError:
            raise tap.Skipped("another user's program wants a privilege") from None
        os.chmod(program, 0o755 | stat.S_ISUID)
        nosuid = f'mount --bind "{directory}" "{directory}" && mount -o remount,bind,nosuid "{directory}" && exec "$@"'
        for without in (["setpriv", "--no-new-privs"], ["unshare", "--mount", "sh", "-c", nosuid, "sh"]):
            if subprocess.run([*without, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
                raise tap.Skipped("a mount wants a privilege")
            for command in ([program], ["sh", "-c", f"{program}; exit 0"]):
                ran = subprocess.run([*without, ATFORK, "tree", "--json=-", "--output=/dev/stderr", "--", *command],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=tap.PATIENCE, check=False)
                assert b"not watched" not in ran.stderr, ran.stderr
                *_, process = json.loads(ran.stdout)["processes"]
                tap.equal((ran.returncode, process["program"], process["arguments"]), (0, program, [program]))


def test_a_setuid_program_that_may_not_be_read_is_told():
    """As sudo on some systems: who executes it sees its bits, but not what is in it."""
    setuid.needs_to_become_another()
    with installed_in("") as (command, _):
        setuid.needed_in(os.path.dirname(command))
        program = shutil.copy("/bin/true", os.path.dirname(command))
        os.chmod(program, 0o711 | stat.S_ISUID)
        becomes = ["--reuid=65534", "--clear-groups", command, "tree", "--", "sh", "-c", f"{program}; exit 0"]
        says(atfork(*becomes, command="setpriv"), 0, "(not watched: runs as another user or group (setuid)")


CAP_NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # as setcap(8) writes "cap_net_raw=ep"


def test_a_program_with_file_capabilities_is_left_alone():
    """Also where no program gains privileges: the loader ignores LD_PRELOAD all the same."""
    with installed_in("") as (command, _):
        program = shutil.copy("/bin/true", pathlib.Path(command).parent)
        try:
            os.setxattr(program, "security.capability", CAP_NET_RAW)
        except OSError:
            raise tap.Skipped("file capabilities want a privilege") from None
        if setuid.is_nosuid(program):
            raise tap.Skipped("no program has file capabilities here")
        for more in ([], ["--no-new-privs"]):
            become = ["setpriv", "--reuid=65534", "--clear-groups", *more]
            says(atfork(*become[1:], command, "tree", "--", program, command=become[0]), 125, "cannot watch")
            ran = atfork(*become[1:], command, "tree", "--", "sh", "-c", f"{program}; exit 0", command=become[0])
            says(ran, 0, "(not watched: runs as another user or group (setuid), or has file capabilities)")


def test_a_program_that_goes_back_to_its_user_is_told():
    """By a bit: its real and its new effective user are the same, but the loader ignores LD_PRELOAD."""
    setuid.needs_to_become_another()
    with tempfile.TemporaryDirectory() as directory:
        setuid.needed_in(directory)
        os.chmod(directory, 0o755)
        program = shutil.copy("/bin/true", directory)
        os.chmod(program, 0o755 | stat.S_ISUID)
        becomes = f"import os; os.seteuid(65534); os.execv('{program}', ['true'])"
        ran = atfork("tree", "--", sys.executable, "-c", becomes)
        says(ran, 125, "not watched to its end: runs as another user or group (setuid), or has file capabilities")


def test_a_command_that_was_not_watched_is_not_called_well():
    limit = "ulimit -v 100000; exec \"$@\""  # kB: less than the log
    ran = atfork("doctor", "--", "sh", "-c", limit, "sh", "/bin/true")
    says(ran, 125, "not watched")
    ran = atfork("doctor", "--json", "--", "sh", "-c", f"({limit}); exit 0", "sh", "/bin/true")
    unwatched = json.loads(ran.stdout)["unwatched"]
    tap.equal((ran.returncode, [process["lineage"] for process in unwatched]), (0, ["0.1"]))


def test_a_command_that_becomes_another_user_is_told():
    setuid.needs_to_become_another()
    for name in ("tree", "doctor", "explore"):
        ran = atfork(name, "--", "setpriv", "--reuid=65534", "--clear-groups", "/bin/true")
        says(ran, 125, "the command was not watched to its end: may not open the log (another user, or a sandbox)")


def target_of(link):
    """"": it is no link, or no longer there, as those of other tests that run at the same time."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


@contextlib.contextmanager
def installed_in(suffix):
    """Copies the command to a directory whose name ends so.  Its path, and a function that finds links to there."""
    with tempfile.TemporaryDirectory(suffix=suffix) as directory:
        def links():
            found = [path for place in {"/dev/shm", tempfile.gettempdir()} for path in pathlib.Path(place).glob("*.so")]
            return [link for link in found if target_of(link).startswith(directory)]

        for name in ("atfork", "libatfork-watch.so", "libatfork-adopt.so"):
            shutil.copy2(pathlib.Path(ATFORK).with_name(name), directory)
        os.chmod(directory, 0o755)  # for other users
        yield f"{directory}/atfork", links
        for link in links():
            link.unlink()


def test_watches_from_a_path_that_cannot_be_preloaded():
    """Also programs that another one executes, and with an empty environment."""
    script = "/bin/true; env -i /bin/sh -c '(exit 0); true'"
    for suffix in (" with a blank", ":with a colon", "$LIB"):
        with installed_in(suffix) as (command, links):
            ran = atfork("tree", "--json=-", "--", "sh", "-c", script, command=command)
            lineages = [process["lineage"] for process in json.loads(ran.stdout)["processes"]]
            tap.equal((ran.returncode, ran.stderr, lineages), (0, "", ["0", "0.1", "0.2", "0.2.1"]))
            says(atfork("tree", "--", "/etc/passwd", command=command), 126, "cannot be executed")
            tap.equal(links(), [])


def test_a_command_that_ends_takes_the_link_from_no_other():
    with installed_in(" with a blank") as (command, links):
        waits = [command, "tree", "--json=-", "--", "sh", "-c", "echo ready >&2; read line; /bin/true"]
        with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            tap.equal(running.stderr.readline(), b"ready\n")
            tap.equal(len(links()), 1)
            says(atfork("doctor", "--", "true", command=command), 0, "in 1 process")
            tap.equal(len(links()), 1)
            told, said = running.communicate(b"\n", timeout=tap.PATIENCE)
        executed = [process["program"] for process in json.loads(told)["processes"]]
        tap.equal((said, executed[1:], links()), (b"", [os.path.realpath("/bin/true")], []))


def said_after_the_end(command, directory, *become):
    """What programs write that a process executes after the command has ended."""
    started, said = (pathlib.Path(directory, name) for name in ("started", "said"))
    for fifo in (started, said):
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo)
        fifo.chmod(0o666)
    rest = f"echo >{started}; exec >{said} 2>&1; /bin/true; exec /bin/sh -c 'echo preloaded: $LD_PRELOAD'"
    script = f'"$@" >/dev/null 2>&1 & read line <{started}; exit 0'
    ran = atfork("tree", "--output=/dev/null", "--", "sh", "-c", script, "sh", *become, "sh", "-c", rest, command=command)
    tap.equal((ran.returncode, ran.stderr), (0, ""))
    return said.read_text()


def test_what_outlives_the_command_executes_without_the_link():
    """Also as another user, who finds no log."""
    with installed_in(" with a blank") as (command, links), tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        tap.equal(said_after_the_end(command, directory), "preloaded:\n")
        if os.geteuid() == 0:
            tap.equal(said_after_the_end(command, directory, "setpriv", "--reuid=65534", "--clear-groups"), "preloaded:\n")
        tap.equal(links(), [])


def test_adopting_from_such_a_path_is_refused():
    with installed_in(" with a blank") as (command, _):
        says(atfork("run", "--adopt", "--", "true", command=command), 125, "must not have a blank")


def test_a_child_on_a_stack_of_its_own_is_left_alone():
    tap.equal(doctor("own-stack").returncode, 0)


def without_shared_memory(*command, **options):
    """Runs the command with a /dev/shm that is read-only, so that the log is elsewhere."""
    mounts = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o ro none /dev/shm && exec \"$@\"", "sh"]
    if subprocess.run([*mounts, "true"], stderr=subprocess.DEVNULL, timeout=tap.PATIENCE, check=False).returncode != 0:
        raise tap.Skipped("a mount wants a privilege")
    return subprocess.run([*mounts, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=tap.PATIENCE,
                          universal_newlines=True, check=False, **options)


def test_a_log_may_be_in_a_directory_that_is_named_from_here():
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory, "here").mkdir()
        script = "test -f $ATFORK_WATCH_LOG || exit 9; cd /; /bin/true; exit 0"
        ran = without_shared_memory(os.path.abspath(ATFORK), "doctor", "--", "sh", "-c", script, cwd=directory,
                                    env={**os.environ, "TMPDIR": "here"})
        tap.equal((ran.returncode, ran.stderr), (0, "atfork doctor: 0 errors, 0 warnings, 0 notes in 2 processes\n"))
        tap.equal(os.listdir(f"{directory}/here"), [])


def test_no_place_for_a_log_is_named():
    ran = without_shared_memory(ATFORK, "tree", "--", "true", env={**os.environ, "TMPDIR": "/nonexistent"})
    says(ran, 125, "/dev/shm and /nonexistent are full or not writable")


def limited(units, *arguments, **options):
    """With files of so many times 512 bytes at most."""
    command = ["sh", "-c", f"ulimit -f {units}; exec \"$@\"", "sh", ATFORK, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, timeout=tap.PATIENCE, universal_newlines=True, check=False,
                          **options)


def test_a_limit_for_the_log_is_named():
    says(limited(1000, "tree", "--", "true", stderr=subprocess.PIPE), 125, "ulimit -f is too small for a log")
    tap.equal(limited(4096, "tree", "--", "true", stderr=subprocess.DEVNULL).returncode, 0)


def test_a_limit_for_the_text_does_not_end_the_command():
    for name in ("tree", "doctor", "explore"):
        with tempfile.TemporaryFile("ab") as text:
            text.truncate(4096 * 512)
            text.seek(0, os.SEEK_END)
            ran = limited(4096, name, "--", "sh", "-c", "echo $ATFORK_WATCH_LOG; (exit 0); true", stderr=text)
        tap.equal((name, ran.returncode, os.path.exists(ran.stdout.split()[0])), (name, 125, False))


def test_no_log_is_left():
    log = atfork("doctor", "--", "sh", "-c", "echo $ATFORK_WATCH_LOG; test -f $ATFORK_WATCH_LOG")
    tap.equal((log.returncode, os.path.exists(log.stdout.strip())), (0, False))


def test_a_signal_goes_on_to_the_command():
    with subprocess.Popen([ATFORK, "doctor", "--", PROGRAM, "wait"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as running:
        tap.equal(running.stdout.readline(), b"ready\n")
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=tap.PATIENCE)
        tap.equal(running.returncode, 128 + signal.SIGTERM)


def test_a_signal_that_comes_early_leaves_no_log():
    """It ends the program as soon as that has been started, mostly before there is a record."""
    env = dict(os.environ, LD_PRELOAD=os.path.abspath(EARLY), ASAN_OPTIONS="verify_asan_link_order=0")
    ran = atfork("tree", "--", PROGRAM, "wait", env=env)
    assert ran.returncode in (125, 128 + signal.SIGTERM), (ran.returncode, ran.stderr)
    assert not os.path.exists(ran.stdout.splitlines()[0]), ran.stdout


def test_an_empty_environment_does_not_hide_what_follows():
    report = json.loads(atfork("doctor", "--json", "--", "env", "-i", "/bin/sh", "-c", "(exit 0); true").stdout)
    tap.equal(report["processes"], 2)
    nested = "env -i /bin/sh -c '/bin/true; /bin/true'; true"
    report = json.loads(atfork("doctor", "--json", "--", "env", "-i", "/bin/sh", "-c", nested).stdout)
    tap.equal(report["processes"], 4)


def test_a_preload_of_the_users_own_is_kept():
    plugin = os.path.abspath(PLUGIN)
    # A command that is built with AddressSanitizer may be loaded behind it.
    env = dict(os.environ, LD_PRELOAD=plugin, ASAN_OPTIONS="verify_asan_link_order=0")
    for ran in (atfork("tree", "--", "sh", "-c", "echo $LD_PRELOAD", env=env),
                atfork("tree", "--", "env", f"LD_PRELOAD={plugin}", "sh", "-c", "echo $LD_PRELOAD")):
        words = ran.stdout.strip().split(":")
        assert words[-1] == plugin and words[0].endswith("libatfork-watch.so"), ran.stdout


def test_a_program_with_a_sanitizer_is_watched():
    if not SANITIZED:
        raise tap.Skipped("no AddressSanitizer")
    for options in ({}, {"ASAN_OPTIONS": "detect_leaks=0"}):
        ran = atfork("doctor", "--", *SANITIZED, env={**os.environ, **options})
        says(ran, 44, "0 errors, 0 warnings, 0 notes in 1 process")
        ran = atfork("run", "--adopt", "--", *SANITIZED, env={**os.environ, **options})
        tap.equal((ran.returncode, ran.stderr), (44, ""))


def test_nothing_is_found_where_nothing_is_wrong():
    tap.equal(found("fork"), ([], 0))
    tap.equal(found("bypassing-exec"), ([], 0))


def test_a_slow_handler_is_found():
    ran = atfork("doctor", "--slow", "10", "--", PROGRAM, "slow-handler")
    says(ran, 100, "slow-handler")
    says(ran, 100, "spend (forks.c:")
    tap.equal(doctor("slow-handler").returncode, 0)


def test_a_fork_in_a_signal_handler_is_found():
    tap.equal(found("signal-fork"), ([("warning", "signal-fork")], 100))


def test_handlers_that_a_bypassing_fork_missed_are_found():
    tap.equal(found("missed-handler"), ([("error", "missed-handler")], 100))


def test_a_handler_of_an_unloaded_object_is_found():
    tap.equal(found("unloaded-handler", PLUGIN), ([("error", "unloaded-handler")], 100))


def test_names_write_no_control_characters():
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/\033[31m\n\u009b1mname"
        shutil.copy(PROGRAM, program)
        ran = atfork("doctor", "--", program, "signal-fork")
    tap.equal(ran.returncode, 100)
    assert "?[31m??1mname" in ran.stderr, ran.stderr
    assert not set(ran.stderr) & set("\033\u009b"), ran.stderr


def test_rules_are_told():
    told = atfork("doctor", "--rules").stdout.splitlines()
    assert "dead-lock: error" in told and len(told) % 3 == 0, told
    says(atfork("doctor", "--rules", "--", "true"), 125, "--rules runs no command")


def test_fail_on_decides_the_status():
    for severity, status in (("note", 100), ("warning", 100), ("error", 0), ("never", 0)):
        tap.equal(atfork("doctor", *NO_LIMIT, "--fail-on", severity, "--", PROGRAM, "signal-fork").returncode, status)


def suppressed(lines):
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(lines)
        file.flush()
        return atfork("doctor", "--suppressions", file.name, "--", PROGRAM, "signal-fork")


def test_suppressions_leave_out_what_they_name():
    says(suppressed("# ours\nsignal-fork on_sig*\n"), 0, "1 suppressed")
    says(suppressed("* */forks.c\n"), 0, "1 suppressed")
    says(suppressed(f"signal-fork */{os.path.basename(PROGRAM)[:-1]}?\n"), 0, "1 suppressed")
    says(suppressed("signal-fork no_such_function\n"), 100, "1 warning")
    says(suppressed("slow-handler on_signal\n"), 100, "1 warning")


def test_bad_suppressions_name_their_line():
    says(suppressed("\nno-such-rule x\n"), 125, ":2: no such rule")
    says(suppressed("signal-fork\n"), 125, ":1: a rule and a pattern are needed")


def test_sarif_has_rules_and_places():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/report.sarif"
        ran = atfork("doctor", "--sarif", "--output", path, "--", PROGRAM, "signal-fork")
        tap.equal((ran.returncode, ran.stdout), (100, ""))
        log = json.loads(pathlib.Path(path).read_text())
    tap.equal(log["version"], "2.1.0")
    run = log["runs"][0]
    result = run["results"][0]
    tap.equal((result["ruleId"], result["level"]), ("signal-fork", "warning"))
    assert "signal-fork" in [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    place = result["locations"][0]["physicalLocation"]
    uri = place["artifactLocation"]["uri"]
    assert uri.startswith("file:///") and ".." not in uri and uri.endswith("/forks.c"), uri
    assert place["region"]["startLine"] > 0, place


def test_a_file_that_is_there_stays_what_it_is():
    with tempfile.TemporaryDirectory() as directory:
        fifo, name = pathlib.Path(directory, "fifo"), pathlib.Path(directory, "name")
        os.mkfifo(fifo)
        name.symlink_to(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        tap.equal(atfork("doctor", "--output", str(name), "--", PROGRAM, "fork").returncode, 0)
        assert b"atfork doctor" in os.read(reader, 1000)
        os.close(reader)
        assert name.is_symlink() and stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_report_that_cannot_be_written_is_trouble_before_the_command_runs():
    for option in (["doctor", "--output"], ["explore", "--output"], ["tree", "--json"], ["tree", "--html"],
                   ["tree", "--trace"], ["tree", "--output"]):
        for path, why in (("/nonexistent/report", "No such file"), ("/", "Is a directory"), ("", "No such file")):
            ran = atfork(*option, path, "--", "echo", "ran")
            says(ran, 125, f"{path}: {why}")
            tap.equal(ran.stdout, "")


def test_a_closed_stream_is_no_file_of_ours():
    """Of a program that is not watched there is a message, which must not go to the file."""
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/file"
        for streams in ("2>&-", "0<&- >&- 2>&-"):
            command = [ATFORK, "tree", f"--output={file}", "--", "sh", "-c", "ulimit -v 100000; exec /bin/true"]
            ran = subprocess.run(["sh", "-c", f'"$@" {streams}', "sh", *command], timeout=tap.PATIENCE, check=False)
            told = pathlib.Path(file).read_text()
            tap.equal((ran.returncode, "command:" in told, "not watched to its end" in told), (125, True, False))


def test_a_command_that_is_watched_itself_says_so():
    ran = atfork("tree", "--json=-", "--output=/dev/stderr", "--", ATFORK, "tree", "--", "/bin/true")
    says(ran, 125, "cannot watch /bin/true: another atfork watches this one")
    tap.equal(len(json.loads(ran.stdout)["processes"]), 1)
    env = {**os.environ, "ATFORK_WATCH_LOG": "/dev/shm/atfork-of-one-that-has-ended"}
    tap.equal(atfork("tree", "--", "/bin/true", env=env).returncode, 0)


def test_a_command_without_a_record_has_no_duration():
    library = pathlib.Path(ATFORK).with_name("libatfork-watch.so")
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy2(ATFORK, directory)
        pathlib.Path(directory, library.name).symlink_to(os.path.abspath(PLUGIN))  # a library that watches nothing
        ran = atfork("tree", "--json=-", "--", "/bin/true", command=f"{directory}/atfork")
    says(ran, 125, "it wrote no record")
    (process,) = json.loads(ran.stdout)["processes"]
    tap.equal((process["born_ns"], process["end_ns"] < 10 ** 9), (0, True))


def test_stdout_that_is_full_is_trouble():
    with open("/dev/full", "wb") as full:
        for arguments in (["--help"], ["--version"], ["tree", "--help"], ["doctor", "--rules"],
                          ["doctor", "--json", "--", PROGRAM, "fork"], ["tree", "--json", "-", "--", PROGRAM, "fork"]):
            ran = subprocess.run([ATFORK, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=tap.PATIENCE,
                                 universal_newlines=True, check=False)
            says(ran, 125, "stdout cannot be written")


def test_a_report_may_go_to_stdout():
    ran = atfork("doctor", "--output", "-", "--", PROGRAM, "fork")
    tap.equal((ran.returncode, ran.stderr), (0, ""))
    assert "atfork doctor: 0 errors" in ran.stdout, ran.stdout
    assert "command:" in atfork("tree", "--output", "-", "--", PROGRAM, "fork").stdout


def test_two_reports_in_one_place_are_refused():
    says(atfork("tree", "--json", "-", "--html", "-", "--", "true"), 125, "only one of")
    says(atfork("doctor", "--json", "--sarif", "--", "true"), 125, "not both")


if __name__ == "__main__":
    sys.exit(tap.run(dict(globals())))

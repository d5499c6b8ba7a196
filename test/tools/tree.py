#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`atfork tree`: each way to make a process, in each form of the report.  Speaks the Test Anything Protocol.

tree.py ATFORK WAYS HOOKS MODULE [STATIC]    WAYS is ways.c, HOOKS hooks.c, MODULE a shared object of that; STATIC is
                                             static.c, where static programs can be linked
"""
import fcntl
import html.parser
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import unicodedata
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import setuid  # noqa: E402
import tap  # noqa: E402

ATFORK, WAYS, HOOKS, MODULE = map(os.path.abspath, sys.argv[1:5])
STATIC = os.path.abspath(sys.argv[5]) if len(sys.argv) > 5 else ""
UTF8 = {"LC_ALL": "C.UTF-8"}
MS = 1000000


def atfork(*arguments, **more):
    environment = {**os.environ, "STATIC": STATIC, **UTF8, **more}
    return subprocess.run([ATFORK, "tree", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=tap.PATIENCE,
                          universal_newlines=True, encoding="utf-8", env=environment, check=False)


def made(option, *command, status=0):
    """The file that an option makes."""
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "file"
        ran = atfork(option, str(path), "--", *command)
        tap.equal((ran.returncode, ran.stderr), (status, ""))
        return path.read_text(encoding="utf-8")


def tree(*command, status=0):
    """The processes, by lineage."""
    told = json.loads(made("--json", *command, status=status))
    tap.equal((told["command"], told["status"]), (list(command), status))
    return {process["lineage"]: process for process in told["processes"]}


def tree_of(*command):
    """The same of a program that writes to stdout."""
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "file"
        tap.equal(atfork("--json", str(path), "--", *command).returncode, 0)
        return {process["lineage"]: process for process in json.loads(path.read_text())["processes"]}


def test_the_man_page_names_all_that_json_has():
    page = pathlib.Path(__file__).parents[2].joinpath("tools/man/tree.txt").read_text(encoding="utf-8")
    told, names = json.loads(made("--json", WAYS, "handlers", "execs", "threads")), set()
    values = [told]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            names |= value.keys()
            values += value.values()
        elif isinstance(value, list):
            values += value
    tap.equal([name for name in sorted(names) if f"`{name}`" not in page], [])


SAYS_IT_ENDS_IN_500_YEARS = """
import mmap, os, struct
with open(os.environ["ATFORK_WATCH_LOG"], "r+b") as file:
    log = mmap.mmap(file.fileno(), 0)
tail, = struct.unpack_from("=Q", log, 184)  # see tools/record.h: a whole record of an exit
pid, never = os.getpid(), 2**64 - 2
struct.pack_into("=IHHiiIBBHQ4Q", log, tail, 64, 0x4b46, 10, pid, pid, 0, 4, 0, 0, never, 0, 0, 0, 0)
struct.pack_into("=Q", log, 184, tail + 64)
os.kill(os.getpid(), 9)
"""


def test_a_time_that_cannot_be_has_a_scale():
    assert "<svg" in made("--html", "/usr/bin/python3", "-c", SAYS_IT_ENDS_IN_500_YEARS, status=137)


def brief(process):
    how = process["ending"]
    return process["how"], {"exit": process.get("status"), "signal": process.get("signal")}.get(how, how)


def says(ran, status, words):
    tap.equal(ran.returncode, status)
    if words not in ran.stderr:
        raise AssertionError(f"\"{words}\" is not in: {ran.stderr}")


# ---- Each way ----

FORK = "syscall(fork)" if os.uname().machine == "x86_64" else "syscall(clone)"
EXPECTED = {
    "fork": {"0.1": ("fork", 11)},
    "vfork": {"0.1": ("vfork", 12)},
    "vfork_exit": {"0.1": ("vfork", 13), "0.2": ("vfork", 12)},
    "posix_spawn": {"0.1": ("posix_spawn", 14)},
    "spawn_fails": {},
    "system": {"0.1": ("system", 15)},
    "popen": {"0.1": ("popen", 16)},
    "daemon": {"0.1": ("fork", 0), "0.1.1": ("daemon", 18)},
    "forkpty": {"0.1": ("forkpty", 19)},
    "_Fork": {"0.1": ("_Fork", 20)},
    "clone": {"0.1": ("clone", 21)},
    "clone_borrowing": {"0.1": ("clone", 21)},
    "syscall_fork": {"0.1": (FORK, 22)},
    "syscall_clone": {"0.1": ("syscall(clone)", 23)},
    "syscall_clone3": {"0.1": ("syscall(clone3)", 24)},
    "instruction": {"0.1": ("raw syscall", 25)},
    "double_fork": {"0.1": ("fork", 26), "0.1.1": ("fork", 27)},
    "failed_fork": {},
    "execs": {"0.1": ("fork", 40)},
    "killed": {"0.1": ("fork", "SIGKILL")},
    "killed_unwaited": {"0.1": ("fork", "SIGTERM")},
    "returns": {"0.1": ("fork", 41)},
    "returns_unwaited": {"0.1": ("fork", 41)},
    "closes_all": {"0.1": ("fork", 11)},
}


def test_each_way_is_named_and_each_end():
    for way, expected in EXPECTED.items():
        found = {lineage: brief(process) for lineage, process in tree(WAYS, way).items()}
        tap.equal((way, found), (way, {"0": ("command", 0), **expected}))


def test_pids_and_parents_are_right():
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "tree"
        ran = atfork("--json", str(path), "--", "sh", "-c", "echo $$; (exec sh -c 'echo $$ $PPID'); exit 3")
        processes = {process["lineage"]: process for process in json.loads(path.read_text())["processes"]}
    tap.equal(ran.returncode, 3)
    tap.equal(ran.stdout, f"{processes['0']['pid']}\n{processes['0.1']['pid']} {processes['0']['pid']}\n")
    tap.equal((processes["0.1"]["parent"], processes["0"]["parent"]), ("0", None))


def test_births_and_ends_are_in_order():
    processes = tree(WAYS, "fork", "double_fork", "execs")
    for process in processes.values():
        assert 0 <= process["born_ns"] <= process["end_ns"], process
        if process["parent"] is not None:
            assert process["born_ns"] >= processes[process["parent"]]["born_ns"], process
    ordered = [processes[lineage]["born_ns"] for lineage in ("0.1", "0.2", "0.2.1", "0.3")]
    tap.equal(ordered, sorted(ordered))


def test_execs_are_told_with_what_failed():
    execs = tree(WAYS, "execs")["0.1"]["execs"]
    tap.equal((execs[0]["path"], execs[0]["error"]), ("/nonexistent", "ENOENT"))
    tap.equal([os.path.basename(each["path"]) for each in execs if each["error"] is None], ["env", "sh", "sh"])


def test_a_spawned_process_is_what_it_was_spawned_as():
    process = tree(WAYS, "posix_spawn")["0.1"]
    tap.equal(process["first_program"], os.path.realpath("/bin/sh"))
    tap.equal(process["arguments"], ["sh", "-c", "exit 14"])
    tap.equal(process["execs"], [])


def test_a_failed_fork_is_told():
    for way, how, error in (("failed_fork", "fork", "EAGAIN"), ("spawn_fails", "posix_spawn", "ENOENT")):
        (fork,) = tree(WAYS, way)["0"]["forks"]
        tap.equal((fork["how"], fork["error"], fork["child"]), (how, error, None))


def test_the_thread_that_forked_is_named():
    processes = tree(WAYS, "threads")
    found = {process["thread"]: process["status"] for process in processes.values() if process["parent"] is not None}
    tap.equal(found, {f"forker {number}": 30 + number for number in range(4)})
    forks = processes["0"]["forks"]
    tap.equal(len({fork["tid"] for fork in forks}), 4)
    assert processes["0"]["pid"] not in {fork["tid"] for fork in forks}


def test_threads_are_counted_at_the_fork():
    processes = tree(WAYS, "fork", "beside_threads")
    tap.equal([fork["threads"] for fork in processes["0"]["forks"]], [1, 5])
    tap.equal(processes["0.2"]["threads"], 5)


def test_handlers_have_their_object_and_time():
    processes = tree(WAYS, "handlers")
    (fork,) = processes["0"]["forks"]
    tap.equal(fork["handlers"], 2)
    tap.equal({call["object"] for call in fork["callbacks"]}, {WAYS})
    calls = {(call["key"], call["phase"]): call for call in fork["callbacks"]}
    tap.equal(sorted(calls), [(0, "child"), (0, "parent"), (0, "prepare"), (1, "child"), (1, "prepare")])
    slow = {key for key, call in calls.items() if call["duration_ns"] >= 20 * MS}
    tap.equal(slow, {(0, "prepare"), (1, "child")})
    tap.equal({call["pid"] for key, call in calls.items() if key[1] == "child"}, {processes["0.1"]["pid"]})
    tap.equal({call["function"] for key, call in calls.items() if key in slow}, {"slow"})
    assert processes["0.1"]["born_ns"] >= calls[0, "prepare"]["begin_ns"] + 20 * MS


def test_an_object_has_its_whole_path():
    for command in (["sh", "-c", 'cd "${0%/*}"; exec "./${0##*/}" handlers', WAYS], ["sh", "-c", 'PATH="${0%/*}"; "${0##*/}" handlers', WAYS]):
        objects = {call["object"] for process in tree(*command).values() for fork in process["forks"] for call in fork["callbacks"]}
        tap.equal(objects, {WAYS})
    # That of the library, which the program finds beside itself, has no "..".
    objects = [call["object"] for fork in tree_of(HOOKS)["0"]["forks"] for call in fork["callbacks"] if call["kind"] == "handler"]
    assert objects and all("libatfork" in path and ".." not in path for path in objects), objects


def test_the_place_of_the_fork_is_told():
    (fork,) = tree(WAYS, "fork")["0"]["forks"]
    tap.equal((fork["stack"][0]["function"], os.path.basename(fork["stack"][0]["file"])), ("way_fork", "ways.c"))


def test_a_program_that_cannot_be_watched_is_told():
    if not STATIC:
        raise tap.Skipped("no static program can be linked")
    processes = tree(WAYS, "static")
    for lineage in ("0.1", "0.2"):
        process = processes[lineage]
        tap.equal((process["not_watched"], process["program"], process["status"]), ("linked statically", STATIC, 44))


def test_a_system_without_proc_hides_little():
    hidden = ["unshare", "--mount", "sh", "-c", "umount -l /proc && exec \"$@\"", "sh"]
    if subprocess.run([*hidden, "true"], stderr=subprocess.DEVNULL, timeout=tap.PATIENCE, check=False).returncode != 0:
        raise tap.Skipped("a mount wants a privilege")
    ran = subprocess.run([*hidden, ATFORK, "tree", "--json=-", "--", WAYS, "fork"], stdout=subprocess.PIPE,
                         timeout=tap.PATIENCE, encoding="utf-8", check=True)
    processes = json.loads(ran.stdout)["processes"]
    tap.equal([process["program"] for process in processes], [WAYS, WAYS])
    tap.equal((processes[0]["arguments"], processes[1]["how"]), ([WAYS, "fork"], "fork"))
    tap.equal(processes[0]["forks"][0]["stack"][0]["function"], "way_fork")


HIDES_LOG = 'mount -t tmpfs none "$(dirname "$ATFORK_WATCH_LOG")" && /bin/true'


def test_what_keeps_the_log_from_a_program_is_told():
    """It became another user in one way or another, or has other mounts."""
    setuid.needs_to_become_another()
    reasons = {
        "setpriv --reuid=65534 --clear-groups /bin/true": "may not open the log (another user, or a sandbox)",
        "setpriv --euid=65534 /bin/true": "runs as another user or group (setuid), or has file capabilities",
        f"unshare --mount sh -c '{HIDES_LOG}'": "cannot find the log (removed, or other mounts or root directory)",
    }
    for command, reason in reasons.items():
        (found,) = [process for process in tree("sh", "-c", f"{command}; exit 0").values()
                    if os.path.basename(process["program"]) == "true"]
        tap.equal((found["not_watched"], found["status"]), (reason, 0))


def test_a_cleared_environment_loses_nobody():
    found = tree("env", "-i", WAYS, "fork", "execs")
    tap.equal(brief(found["0.1"]), ("fork", 11))
    tap.equal([os.path.basename(each["path"]) for each in found["0.2"]["execs"] if not each["error"]], ["env", "sh", "sh"])


def test_a_pid_namespace_has_one_first_process():
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return  # this system lets nobody
    found = tree(*unshare, WAYS, "fork", "vfork", status=0)
    expected = {"0": ("command", 0), "0.1": ("fork", 0), "0.1.1": ("fork", 11), "0.1.2": ("vfork", 12)}
    tap.equal({lineage: brief(process) for lineage, process in found.items()}, expected)
    tap.equal((found["0.1"]["program"], found["0.1"]["pid"] > 1), (WAYS, True))
    # Its child has the pid 2 there: what has it here is another process.
    tap.equal(tree(*unshare, WAYS, "killed_unwaited")["0.1.1"]["ending"], "unknown")


def test_a_thousand_forks_are_told():
    processes = tree(WAYS, "thousand")
    tap.equal(len(processes), 1001)
    for number in range(1000):
        tap.equal(brief(processes[f"0.{number + 1}"]), ("fork", number % 100))


def test_a_hundred_generations_are_told():
    processes = tree(WAYS, "deep")
    tap.equal(len(processes), 101)
    tap.equal(processes["0" + ".1" * 100]["parent"], "0" + ".1" * 99)


def test_processes_killed_anywhere_stop_nothing():
    ran = atfork("--json", "-", "--", WAYS, "killed_anywhere", "fork")
    tap.equal(ran.returncode, 0)
    processes = {process["lineage"]: process for process in json.loads(ran.stdout)["processes"]}
    endings = [brief(processes[f"0.{number + 1}"]) for number in range(11)]
    tap.equal(endings, [("fork", "SIGKILL")] * 10 + [("fork", 11)])


def test_a_command_that_is_killed_is_told():
    process = tree("sh", "-c", "kill -KILL $$", status=137)["0"]
    tap.equal(brief(process), ("command", "SIGKILL"))


def test_all_waits_for_what_outlives_the_command():
    tap.equal(tree(WAYS, "outlives")["0.1"]["ending"], "runs")
    told = json.loads(atfork("--all", "--json", "-", "--", WAYS, "outlives").stdout)
    tap.equal([brief(process) for process in told["processes"]], [("command", 0), ("fork", 43)])


def read_until(stream, words):
    told = b""
    while words not in told:
        assert select.select([stream], [], [], tap.PATIENCE)[0], told
        block = os.read(stream.fileno(), 65536)
        assert block, told
        told += block
    return told.decode()


def interrupt(ran):
    """What it writes until SIGINT has ended it: again and again, as it may not yet know that it waits."""
    for _ in range(tap.PATIENCE * 10):
        ran.send_signal(signal.SIGINT)
        try:
            return ran.communicate(timeout=0.1)[1].decode()
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError("SIGINT is not heard")


def test_sigint_ends_the_wait_of_all():
    command = [ATFORK, "tree", "--all", "--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **UTF8}) as ran:
        outlives = int(ran.stdout.readline())
        try:
            read_until(ran.stderr, b" exit 0\n")
            last = interrupt(ran)
        finally:
            os.kill(outlives, signal.SIGKILL)  # so that nothing is waited for any more
    tap.equal(ran.returncode, 0)
    assert re.search(rf"0\.1 \S+ ms, still runs for .*, {outlives} fork", last), last


def test_a_reader_that_goes_does_not_end_the_command():
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "made"
        command = [ATFORK, "tree", "--", "sh", "-c", f"read line; (exit 1); echo line >{path}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **UTF8}) as ran:
            read_until(ran.stderr, b"command")
            ran.stderr.close()
            ran.stdin.write(b"on\n")
            ran.stdin.close()
        tap.equal((ran.returncode, path.read_text()), (125, "line\n"))


# ---- Hooks of libatfork ----

LOAD = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1]).main()"]


def test_hooks_do_what_they_do_unwatched():
    for command in ([HOOKS], [*LOAD, MODULE]):
        alone = subprocess.run(command, stdout=subprocess.PIPE,
                               timeout=tap.PATIENCE, universal_newlines=True, check=True)
        assert alone.stdout.count("\n") == 16, alone.stdout
        ran = atfork("--output", "/dev/null", "--", *command)
        tap.equal((ran.returncode, ran.stdout), (0, alone.stdout))


def test_hooks_have_their_name_object_and_time():
    for command, where in (([HOOKS], HOOKS), ([*LOAD, MODULE], MODULE)):
        ran = atfork("--json", "-", "--output", "/dev/null", "--", *command)
        told = json.loads(ran.stdout[ran.stdout.index("\n{\n") + 1:])
        forks = [fork for process in told["processes"] for fork in process["forks"]]
        hooks = [[call for call in fork["callbacks"] if call["kind"] == "hook"] for fork in forks]
        shown = [sorted((call["name"], call["priority"], call["phase"]) for call in calls) for calls in hooks]
        tap.equal(shown[0], [("", 0, "child")] + [("first", -5, phase) for phase in ("child", "parent", "prepare")])
        tap.equal({call["object"] for calls in hooks for call in calls}, {where})
        slow = [call["phase"] for call in hooks[0] if call["duration_ns"] >= 20 * MS]
        tap.equal(slow, ["child"])
        # Refused, waited for, and then both sides.
        tap.equal(shown[2], [("try", 100, phase) for phase in ("child", "parent", "prepare", "prepare")])
        # A bypassing fork, and atfork_poll() in its child.
        tap.equal((forks[-1]["how"], shown[-1]), ("_Fork", [("", 0, "child")]))


# ---- Lines, and what goes where ----

LINE = re.compile(r"\+\d+\.\d ms 0(\.\d+)* \d+ ")


def test_each_event_is_a_line():
    ran = atfork("--", WAYS, "fork", "execs", "failed_fork")
    lines, last = ran.stderr.split("\n\n")
    assert all(LINE.match(line) for line in lines.splitlines()), lines
    words = [LINE.sub("", line) for line in lines.splitlines()]
    assert f'fork by "{os.path.basename(WAYS)[:15]}" of 0 (1 thread): {WAYS}' in words, words
    assert "exit 11" in words and "exit 40" in words and "exit 0" in words, words
    assert "exec /nonexistent failed: ENOENT (No such file or directory)" in words, words
    assert any(re.fullmatch(r"exec \S*/env", line) for line in words), words
    assert any("failed: EAGAIN" in line for line in words), words
    rows = last.splitlines()
    tap.equal([row[:7].rstrip() for row in rows], [row[:7].rstrip() for row in ("0 +0.0 ", "├─ 0.1 ", "├─ 0.2 ", "└─ fork")])
    assert "exit 11 after" in rows[1] and "exit 40 after" in rows[2], rows


def test_lines_come_as_it_happens():
    command = [ATFORK, "tree", "--", "sh", "-c", "(exit 9); read line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **UTF8}) as ran:
        told = read_until(ran.stderr, b" exit 9\n")
        assert " fork by " in told, told
        ran.communicate(b"on\n")


def test_handlers_are_in_the_tree():
    rows = atfork("--", WAYS, "handlers").stderr.split("\n\n")[1].splitlines()
    assert re.fullmatch(rf" +fork handler of {re.escape(WAYS)}: prepare \d\S* ms, parent \S+ .s, child \S+ .s", rows[3]), rows


def test_other_locales_get_ascii():
    ran = atfork("--", WAYS, "fork", LC_ALL="C")
    assert ran.stderr.isascii(), ran.stderr
    assert "\n`- 0.1 " in ran.stderr, ran.stderr


def test_the_output_of_the_command_is_its_own():
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "text"
        ran = atfork("--output", str(path), "--", "sh", "-c", "echo out; echo err >&2; exit 5")
        tap.equal((ran.returncode, ran.stdout, ran.stderr), (5, "out\n", "err\n"))
        assert "exit 5" in path.read_text(), path.read_text()


def test_control_characters_are_not_written_on():
    ran = atfork("--", "sh", "-c", ": '\033[31m'; exec sh -c 'exit 0'")
    assert "\033" not in ran.stderr, ran.stderr


def test_errors_name_what_is_wrong():
    says(atfork(), 125, "a command is needed")
    says(atfork("--nonsense", "--", "true"), 125, "--nonsense")
    says(atfork("--json"), 125, "--json")
    says(atfork("--output", "/nonexistent/file", "--", "true"), 125, "--output: /nonexistent/file")
    for option in ("--json", "--html", "--trace"):
        says(atfork(option, "/nonexistent/file", "--", "true"), 125, "/nonexistent/file")
    says(atfork("--", "/nonexistent"), 127, "/nonexistent")
    says(atfork("--", "/etc/passwd"), 126, "/etc/passwd")


# ---- A terminal ----

COLUMNS, ROWS = 72, 20


def in_terminal(*command, **more):
    """What is written to a terminal that the command and we share."""
    pid, terminal = pty.fork()
    if pid == 0:
        for name, value in {**UTF8, "TERM": "xterm", "NO_COLOR": "", **more}.items():
            os.environ[name] = value
        sys.stdin.read(1)  # until the terminal has its size
        os.execv(ATFORK, [ATFORK, "tree", "--", *command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    os.write(terminal, b"\n")
    written = b""
    while True:
        assert select.select([terminal], [], [], tap.PATIENCE)[0], f"nothing more is written after {written}"
        try:
            block = os.read(terminal, 65536)
        except OSError:  # EIO: all have closed it
            break
        if not block:
            break
        written += block
    tap.equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
    return written.decode()


def width(text):
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in re.sub("\033\\[[0-9;]*m", "", text))


BUSY = ("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo said $i; done; (exec sh -c 'sleep 0.2; : " + "long " * 40 + "')")


def test_a_terminal_shows_a_tree_that_grows():
    written = in_terminal(*BUSY)
    regions = [int(bottom) for bottom in re.findall("\033\\[1;(\\d+)r", written)]
    assert len(regions) > 1 and regions == sorted(regions, reverse=True), regions
    assert min(regions) >= ROWS // 2 and max(regions) < ROWS, regions
    drawn = re.findall("\033\\[(\\d+);1H\033\\[2K([^\r\n]*?)(?=\033\\[\\d+;1H|\0338)", written)
    assert drawn and all(width(text) <= COLUMNS for _, text in drawn), max(drawn, key=lambda one: width(one[1]))
    assert any(text.endswith("…\033[0m") for _, text in drawn), drawn
    assert "\033[r" in written.rsplit("said 8", 1)[1], "the terminal scrolls whole again"
    assert "\033[36m" in written
    last = re.sub("\033\\[[0-9;]*m", "", written.rsplit("\0338", 1)[1])
    assert "└─ 0.9 " in last and "├─ 0.1 " in last, last


def test_a_terminal_without_colour_is_respected():
    assert not re.search("\033\\[[0-9;]*m", in_terminal(*BUSY, NO_COLOR="1"))


TAKES_TERMINAL = """
import os, signal, subprocess, termios, time
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.setpgid(0, 0)
os.tcsetpgrp(0, os.getpid())
flags = termios.tcgetattr(0)
flags[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, flags)
for _ in range(4):
    subprocess.run("true")
    time.sleep(0.15)
"""


def test_a_shell_may_take_the_terminal():
    written = in_terminal("/usr/bin/python3", "-c", TAKES_TERMINAL)
    assert "└─ 0.4 " in re.sub("\033\\[[0-9;]*m", "", written.rsplit("\0338", 1)[1]), written


def test_a_dumb_terminal_gets_lines():
    written = in_terminal(WAYS, "fork", TERM="dumb")
    assert "\033" not in written and "exit 11" in written, written


# ---- A page ----

class Page(html.parser.HTMLParser):
    """Whether all elements are closed, and no script or other file is wanted."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe"), tag
        self.open += [] if tag == "meta" else [tag]

    def handle_endtag(self, tag):
        if tag != "meta":
            tap.equal(self.open.pop(), tag)

    def handle_data(self, data):
        self.text.append(data)


def test_a_page_has_each_process():
    with tempfile.TemporaryDirectory() as work:
        path, other = pathlib.Path(work) / "html", pathlib.Path(work) / "json"
        program = pathlib.Path(work) / "a & <b> \"c\""
        program.symlink_to("/bin/sh")
        command = "%s handlers fork killed threads; exit 0" % WAYS
        ran = atfork("--html", str(path), "--json", str(other), "--", str(program), "-c", command)
        tap.equal(ran.returncode, 0)
        text = path.read_text(encoding="utf-8")
        processes = json.loads(other.read_text())["processes"]
    page = Page()
    page.feed(text)
    tap.equal(page.open, [])
    root = xml.etree.ElementTree.fromstring(text.split("\n", 1)[1])
    name = "{http://www.w3.org/1999/xhtml}"
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter(name + "tr")]
    for process in processes:
        (row,) = [row for row in rows if row[0] == process["lineage"]]
        tap.equal(row[1:4], [str(process["pid"]), process["how"], process["thread"] or ""])
    assert any(str(program) in cell for cell in rows[1] + [root.find(f"{name}head/{name}title").text]), rows[1]
    bars = [bar.get("class") for bar in root.iter("{http://www.w3.org/2000/svg}rect")]
    tap.equal(sum(bar.startswith("bar-") for bar in bars), len(processes))
    assert {"prepare", "parent", "child"} <= set(bars), bars
    assert any("fork handler of" in cell and "prepare" in cell for row in rows for cell in row), rows


def test_a_page_tells_failed_forks():
    text = made("--html", WAYS, "failed_fork")
    assert "EAGAIN" in text.split("Forks that failed")[1], text


# ---- A trace ----

def test_a_trace_has_the_shape_that_viewers_read():
    events = json.loads(made("--trace", WAYS, "handlers", "execs", "threads"))["traceEvents"]
    wanted = {"M": {"args"}, "X": {"ts", "dur", "args"}, "s": {"ts", "id"}, "f": {"ts", "id", "bp"}, "i": {"ts", "s"}}
    for event in events:
        assert {"ph", "name", "pid", "tid"} | wanted[event["ph"]] <= set(event), event
        assert event.get("ts", 0) >= 0 and event.get("dur", 0) >= 0, event
    of = {kind: [event for event in events if event["ph"] == kind] for kind in wanted}
    lives = {event["args"]["lineage"]: event for event in of["X"] if "lineage" in event["args"]}
    tap.equal(sorted(lives), ["0"] + [f"0.{number}" for number in range(1, 7)])
    tap.equal(sorted(event["id"] for event in of["s"]), sorted(event["id"] for event in of["f"]))
    tap.equal(len(of["s"]), 6)
    for event in of["f"]:
        (life,) = [life for life in lives.values() if life["pid"] == event["pid"]]
        assert life["ts"] <= event["ts"] <= life["ts"] + life["dur"], (life, event)
    names = {event["args"]["name"] for event in of["M"] if event["name"] == "thread_name"}
    assert {f"forker {number}" for number in range(4)} <= names, names
    assert [event for event in of["X"] if event["name"].startswith("prepare: fork handler of") and event["dur"] >= 20000]
    assert [event for event in of["i"] if event["name"].startswith("exec /nonexistent: ENOENT")]


if __name__ == "__main__":
    sys.exit(tap.run(globals()))

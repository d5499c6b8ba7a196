#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library's static probes: which there are, and what a debugger sees at them.  Speaks the Test Anything Protocol.

probes.py LIBRARY PROGRAM PLUGIN PAGE    LIBRARY is libatfork.so, PROGRAM and PLUGIN are probed.c and plugin.c; PAGE is
                                         doc/tools.md, which has a table of the probes, and samples
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import tap  # noqa: E402, pylint: disable=wrong-import-position

LIBRARY, PROGRAM, PLUGIN, PAGE = sys.argv[1:]
STRINGS = {"name", "token", "rank"}
ADDRESSES = {"function", "data", "object"}


def notes():
    """The arguments of each probe, and whether each of its places has a semaphore, as the library's notes have them."""
    command = ["readelf", "--wide", "--notes", LIBRARY]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {}
    pattern = r"Provider: (\S+)\s+Name: (\S+)\s+Location: .*? Semaphore: (\S+)\s+Arguments: ?(.*)"
    for provider, name, semaphore, arguments in re.findall(pattern, text):
        tap.equal(provider, "atfork")
        found.setdefault(name, set()).add((arguments.count("@"), int(semaphore, 16) != 0))
    return found


def section():
    return re.search(r"^## Probes\n(.*?)(?=^## |\Z)", pathlib.Path(PAGE).read_text(), re.M | re.S)[1]


def documented():
    """The names of each probe's arguments, from the page's table."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section(), re.M)
    return {name: re.findall(r"`(\w+)`", arguments) for name, arguments in rows}


# Runs in gdb's Python: prints a line each time that the program comes to a probe, and lets it go on.
SCRIPT = """
import gdb

def shown(number, kind):
    value = gdb.parse_and_eval(f"$_probe_arg{number}")
    if kind == "string":
        pointer = value.cast(gdb.lookup_type("char").pointer())
        return pointer.string() if pointer else "(null)"
    if kind == "address":
        return gdb.execute(f"output/a (void *) $_probe_arg{number}", to_string=True)
    return str(int(value))

class Probe(gdb.Breakpoint):
    def __init__(self, name, kinds):
        super().__init__(f"-probe-stap atfork:{name}")
        self.name, self.kinds = name, kinds

    def stop(self):
        print("@" + "\\t".join([self.name] + [shown(*kind) for kind in enumerate(self.kinds)]), flush=True)
        return False

for setting in ("confirm off", "pagination off", "follow-fork-mode " + FOLLOWS):
    gdb.execute("set " + setting)
gdb.execute("break main")
gdb.execute("run")
for name, kinds in PROBES.items():
    Probe(name, kinds)
gdb.execute("continue")
"""


def kind(argument):
    return "string" if argument in STRINGS else "address" if argument in ADDRESSES else "number"


def events(what, follows):
    """What gdb sees of the program: (probe, {argument: value}), where an id is the name of its hook."""
    probes = {name: [kind(argument) for argument in arguments] for name, arguments in documented().items()}
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(f"FOLLOWS = {follows!r}\nPROBES = {probes!r}\n{SCRIPT}")
        file.flush()
        command = ["gdb", "-nx", "-batch", "-x", file.name, "--args", PROGRAM, what, PLUGIN]
        run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=tap.PATIENCE)
    if "exited normally" not in run.stdout:
        raise AssertionError(run.stdout + run.stderr)
    return list(named(re.findall(r"^@(\w+)\t(.*)$", run.stdout, re.M)))


def named(lines):
    names = {}
    for name, text in lines:
        # An address may have its symbol's name behind it.
        values = [re.sub(r"^0x\w+ <(\w+)>$", r"\1", value) for value in text.split("\t")]
        event = dict(zip(documented()[name], values))
        if name == "register":
            names[event["id"]] = event["name"]
        if "id" in event:
            event["id"] = names[event["id"]]
        yield name, event


def shown(seen):
    """A line an event, without objects, whose addresses differ."""
    return "".join(" ".join([name] + [event[key] for key in event if key != "object"]) + "\n" for name, event in seen)


def test_probes_are_those_of_the_page():
    table = {name: {(len(arguments), True)} for name, arguments in documented().items()}
    tap.equal(notes(), table)
    assert len(table) > 10


def test_samples_use_probes_and_arguments_that_there_are():
    samples = re.findall(r"^```\n?(\w*)\n(.*?)^```", section(), re.M | re.S)
    text = "\n".join(code for _, code in samples)
    clauses = re.findall(r"atfork:(\w+)(.*?)(?=usdt:|\Z)", text, re.S)
    assert len(clauses) >= 3
    for name, code in clauses:
        assert name in documented(), name
        for number in re.findall(r"\barg(\d)\b", code):
            assert int(number) < len(documented()[name]), (name, number)


START = "poll 0 0\n"
REGISTERED = """\
register low low -5
register trying trying 0
register high high 5
register gone gone 0
unregister gone
register plugin plugin 0
unregister plugin
"""
PREPARED = """\
prepare 0 3
callback 0 high high before 0x0
callback_end 0 high 0
callback 0 trying trying try 0x0
callback_end 0 trying 7
callback 1 high high after 0x0
callback_end 1 high 0
not_now trying trying 7
callback 0 high high before 0x0
callback_end 0 high 0
callback 0 trying trying try 0x0
callback_end 0 trying 0
callback 0 low low before own_data
callback_end 0 low 0
"""
PARENT = """\
parent 0 3
callback 1 low low after own_data
callback_end 1 low 0
callback 1 high high after 0x0
callback_end 1 high 0
parent_end 0
"""
CHILD = """\
child 1 3
callback 2 low low born own_data
callback_end 2 low 0
child_end 1 1
"""
AT_EXIT = """\
unregister low
unregister trying
unregister high
"""


def test_a_debugger_sees_a_fork_in_the_parent():
    first = "prepare 0 0\nprepare_end 0 1\nparent 0 0\nparent_end 0\n"
    placed = "spawned no token 22\nadopt 3 0\n" + CHILD
    expected = START + first + REGISTERED + PREPARED + "prepare_end 0 2\n" + PARENT + placed + AT_EXIT
    tap.equal(shown(events("parent", "parent")), expected)


def test_a_debugger_sees_a_fork_in_the_child():
    expected = START + REGISTERED + PREPARED + "prepare_end 0 1\n" + CHILD + AT_EXIT
    tap.equal(shown(events("child", "child")), expected)


def test_a_debugger_sees_a_bypassing_fork_caught_up_with():
    tap.equal(shown(events("bypassing", "child")), START + REGISTERED + CHILD + "poll 1 1\n" + AT_EXIT)


def test_a_debugger_sees_a_phase_end_in_a_child_of_its_callback():
    seen = shown(events("returning", "child")).splitlines()
    seen = [line for line in seen if re.match("child|callback(_end)? 2", line)]
    first = ["callback 2 low low born own_data", "callback_end 2 low 0", "callback 2 forking forking multiply 0x0"]
    inner = ["callback_end 2 forking 0", "callback 2 behind behind born 0x0", "callback_end 2 behind 0"]
    # The outer phase, which is not this process's, runs none of those behind.
    returned = ["child_end 2 3", "callback_end 2 forking 0", "child_end 1 2"]
    tap.equal(seen, ["child 1 5"] + first + ["child 2 5"] + first + inner + returned)


def test_a_hook_has_the_object_that_it_goes_with():
    seen = [(name, event["id"], event["object"]) for name, event in events("bypassing", "parent") if "object" in event]
    objects = {(name, hook): where for name, hook, where in seen}
    plugin = objects["register", "plugin"]
    assert plugin not in ("0x0", objects["register", "low"]), objects
    tap.equal(objects["unregister", "plugin"], plugin)
    tap.equal(objects["unregister", "gone"], "0x0")


if __name__ == "__main__":
    if not shutil.which("gdb"):
        print("1..0 # SKIP there is no gdb")
        sys.exit(0)
    sys.exit(tap.run(globals()))

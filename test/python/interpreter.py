# SPDX-License-Identifier: MIT
"""The interpreter's own rules: sub-interpreters, reference counts, and its end."""
from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import unittest
from typing import Any, Callable

import atfork
from tap import PATIENCE, ForkTest, Scenario, run_python, run_tests, scenario

ROUNDS = 100_000

# Sub-interpreters as mod_wsgi makes them; an isolated one has a lock of its own, and Python loads no such module there.
SUB = """
import os, sys
if "first" in sys.argv: import atfork
try:
    import _interpreters as interpreters # since 3.13
    kind = ("legacy",)
except ImportError:
    import _xxsubinterpreters as interpreters
    kind = {"isolated": False}
def create(): return interpreters.create(**kind) if isinstance(kind, dict) else interpreters.create(*kind)
CODE = '''
import atfork, ctypes, functools, os
ran = []
assert atfork.register(key="k", child=print).unregister()
hook = atfork.register(name="sub", key="k", child=lambda: ran.append(1))
@atfork.per_process
def lineage(): return atfork.lineage()
def status_of(fork):
    pid = fork()
    if pid == 0:
        atfork.poll()
        os._exit(len(ran) if lineage() == atfork.lineage() else 99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
lineage()
scenario = ctypes.PyDLL(os.environ["SCENARIO_LIBRARY"])
for way in (b"fork", b"_Fork"): assert status_of(functools.partial(scenario.scenario_fork, way)) == 1, way
'''
for round in range(3):
    sub = create()
    error = interpreters.run_string(sub, CODE)
    if error is not None: print(error)
    interpreters.destroy(sub)
import atfork
ran = []
with atfork.register(key="k", child=print): pass
atfork.register_after_fork(lambda: ran.append(1))
pid = os.fork()
if pid == 0: os._exit(len(ran))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), [info.name for info in atfork.hooks()])
"""

END = """
import atexit, ctypes, os, threading
def fork(way):
    pid = os.fork() if way == "python" else held.scenario_fork(way)
    if pid == 0: os._exit(len(ran))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
held = ctypes.PyDLL(os.environ["SCENARIO_LIBRARY"])
atexit.register(fork, "python")
atexit.register(fork, b"fork")
import atfork
ran = []
hooks = [atfork.register(prepare=lambda: None, parent=lambda: None, child=lambda: ran.append(1)) for _ in range(3)]
hooks.append(atfork.register_after_fork(atfork.symbol(None, "getpid")))
class AtTheEnd:
    def __del__(self, unregister=hooks[0].unregister, fork=held.scenario_fork, exit=os._exit):
        if fork(b"fork") == 0: exit(0)
        unregister()
keep = AtTheEnd()
"""


# Each keeps a function of the program's, and so its globals, in another way.
UNFLUSHED = """
import os, sys
import atfork
class Client:
    def reset(self): pass
    def __del__(self, write=os.write): write(1, b"client finalised\\n")
client = Client()
@atfork.register_after_fork
def after(): pass
hooks = [
    lambda: atfork.register(prepare=lambda: None, parent=lambda: None, child=lambda: None),
    lambda: atfork.register(child=client.reset),
    lambda: atfork.register(child=os.getpid, owner=client, key=client),
    lambda: atfork.register_lock(__import__("threading").Lock()),
    lambda: setattr(atfork, "on_error", lambda *_: file),
    lambda: atfork.per_process(lambda: [client, globals()])(),
][int(sys.argv[1])]()
if sys.argv[2] == "forked" and os.fork() == 0: os._exit(0)
from atfork import register
file = open(sys.argv[3], "w")
file.write("data")
"""


FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@unittest.skipIf(FREE_THREADED, "to a free-threaded Python all sub-interpreters are isolated")
class SubInterpreters(ForkTest):
    @scenario("interpreters")
    def test_have_hooks_of_their_own(self) -> None:
        """Those of one that has ended are gone, and no other interpreter's forks run them."""
        for arguments in ((), ("first",)):
            run = run_python(SUB, *arguments)
            self.assertEqual(("1 ['']\n", ""), (run.stdout, run.stderr), arguments)
            self.assertEqual(0, run.returncode)


ISOLATED = """
try:
    import _interpreters as interpreters # since 3.13
except ImportError:
    import _xxsubinterpreters as interpreters
CODE = """ + repr(
    """
try:
    import atfork
except ImportError as error:
    print(error, flush=True)
    print(type(error.__cause__).__name__, flush=True)
"""
) + """
isolated = interpreters.create()
interpreters.run_string(isolated, CODE)
interpreters.destroy(isolated)
"""


class WhereItCannotBeImported(ForkTest):
    """The error says why, and what to do."""

    if sys.version_info >= (3, 12):  # interpreters may have a GIL of their own

        def test_an_isolated_interpreter(self) -> None:
            # After that a free-threaded Python (3.13) does not turn its GIL on, and so the import fails there, too.
            run = run_python(ISOLATED if FREE_THREADED else ISOLATED + "import atfork\n")
            self.assertEqual(("", 0), (run.stderr, run.returncode))
            self.assertRegex(run.stdout, r"\Aatfork cannot be imported in an isolated .*'legacy'.*\nImportError\n\Z")

    def test_without_the_gil(self) -> None:
        """The free-threaded build turns it on, but for PYTHON_GIL=0; elsewhere the test pretends that."""
        pretended = "" if FREE_THREADED else "sys._is_gil_enabled = lambda: False\n"
        code = f"import sys\n{pretended}try: import atfork\nexcept ImportError as error: print(error)\n"
        run = run_python(code, env=os.environ if pretended else {**os.environ, "PYTHON_GIL": "0"})
        self.assertEqual("atfork needs the GIL: run Python without PYTHON_GIL=0, and without -X gil=0\n", run.stdout)

    if FREE_THREADED:

        def test_the_import_turns_the_gil_on(self) -> None:
            code = "import sys; before = sys._is_gil_enabled(); import atfork; print(before, sys._is_gil_enabled())"
            self.assertEqual("False True\n", run_python(code).stdout)


class Imports(ForkTest):
    """What takes long is imported when it is needed."""

    def test_what_atfork_imports(self) -> None:
        slow = ("threading", "logging", "random", "typing", "re", "multiprocessing", "ctypes", "weakref", "socket")
        code = f"import sys; before = set(sys.modules); import atfork; print(set({slow}) & set(sys.modules) - before)"
        run = run_python(code)
        self.assertEqual(("set()\n", ""), (run.stdout, run.stderr))

    def test_a_module_imported_later_is_as_it_would_be(self) -> None:
        code = "import atfork, importlib.util, inspect\n"
        for name in ("threading", "random", "multiprocessing.popen_spawn_posix"):
            code += f"import {name} as module\nassert module.__spec__.loader is module.__loader__, module\n"
            code += "assert 'def ' in inspect.getsource(module) and type(module.__loader__).__module__ != 'atfork'\n"
            code += f"assert 'def ' in importlib.util.find_spec('{name}').loader.get_source('{name}')\n"
        run = run_python(code)
        self.assertEqual(("", ""), (run.stdout, run.stderr))


class Warnings(ForkTest):
    def test_are_none(self) -> None:
        """Where Python warns of types of SWIG's, and they are errors, there are no such types."""
        code = "import atfork, os\nwith atfork.register(child=atfork.lineage): os.fork() or os._exit(0)\nos.wait()"
        run = run_python(code, env={**os.environ, "PYTHONWARNINGS": "error"})
        self.assertEqual(("", "", 0), (run.stdout, run.stderr, run.returncode))


class End(ForkTest):
    @scenario("fork-at-exit")
    def test_forks_as_the_interpreter_ends(self) -> None:
        run = run_python(END)
        self.assertEqual((["0", "3"], "", 0), (run.stdout.splitlines(), run.stderr, run.returncode))

    @scenario("end-finalises")
    def test_what_the_program_left_is_cleared(self) -> None:
        """A file's last bytes are written, and finalisers run, though functions are registered that refer to them."""
        with tempfile.TemporaryDirectory() as directory:
            for hook in range(6):
                for forked in ("", "forked"):
                    path = os.path.join(directory, f"{hook}{forked}")
                    run = run_python(UNFLUSHED, str(hook), forked, path)
                    with open(path) as file:
                        got = file.read(), run.stdout, run.stderr
                    self.assertEqual(("data", "client finalised\n", ""), got, (hook, forked))

    def test_begins_again_in_the_same_process(self) -> None:
        program = os.environ.get("EMBED_PROGRAM")
        if program is None:
            raise unittest.SkipTest("there is no library of this interpreter to embed")
        run = subprocess.run([program], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((["1 1"] * 3, "", 0), (run.stdout.splitlines(), run.stderr, run.returncode))

    @scenario("loaded-twice")
    def test_imported_twice(self) -> None:
        code = "import atfork, importlib, os\nimportlib.reload(atfork)\nran = []\n"
        code += "atfork.register_after_fork(lambda: ran.append(1))\nif os.fork() == 0: os._exit(len(ran))\n"
        code += "print(os.waitstatus_to_exitcode(os.wait()[1]))"
        run = run_python(code)
        self.assertEqual(("1\n", ""), (run.stdout, run.stderr))

    @scenario("loaded-twice")
    def test_imported_anew(self) -> None:
        """As tools do that import a program again: of the package there is one all the same."""
        code = "import atfork, os, sys, threading\nran, lock, first = [], threading.Lock(), atfork\n"
        code += "for name in [name for name in sys.modules if name.partition('.')[0] == 'atfork']: del sys.modules[name]\n"
        code += "import atfork\nfrom atfork import register_lock\nimport atfork.random\n"
        code += "atfork.register_after_fork(lambda: ran.append(1))\nregister_lock(lock)\n"
        code += "print(atfork is first, sys.modules['atfork'] is first, first.random is atfork.random)\n"
        code += "if os.fork() == 0: os._exit(len(ran))\nprint(os.waitstatus_to_exitcode(os.wait()[1]))"
        run = run_python(code)
        self.assertEqual(("True True True\n1\n", ""), (run.stdout, run.stderr))


def total() -> int:
    """Of all references, where the interpreter counts them; else of all blocks that it has allocated."""
    gc.collect()
    gc.collect()  # a free-threaded Python frees at the second what it has found at the first
    count: Callable[[], int] = getattr(sys, "gettotalrefcount", sys.getallocatedblocks)
    return count()


class Flat(ForkTest):
    """Reference counts stay flat over many rounds."""

    def check(self, body: Callable[[], object], rounds: int = ROUNDS) -> None:
        for _ in range(100):
            body()
        before = total()
        for _ in range(rounds):
            body()
        grown = total() - before
        # Two ints of this function's own are blocks.
        self.assertLess(abs(grown), 6, f"in {rounds} rounds")

    @scenario("rounds-leave-memory")
    def test_register_and_unregister(self) -> None:
        def body() -> None:
            atfork.register(name="x", prepare=body, parent=body, child=body).unregister()

        count = sys.getrefcount(body)
        self.check(body)
        self.assertEqual(count, sys.getrefcount(body))

    def test_a_function_and_its_hook(self) -> None:
        def function() -> None:
            pass

        def body() -> None:
            hook = atfork.register_after_fork(function)
            hook()
            hook.unregister()
            hook()

        count = sys.getrefcount(function)
        self.check(body)
        self.assertEqual(count, sys.getrefcount(function))

    def test_decorated_functions(self) -> None:
        def body() -> None:
            @atfork.register_after_fork
            def function() -> None:
                pass

            function.unregister()

        self.check(body)

    def test_in_step(self) -> None:
        """All that a fork does, but for the fork."""
        callback = lambda: None  # noqa: E731
        atfork.register(prepare=callback, parent=callback)
        count = sys.getrefcount(callback)
        in_plan = 2  # from the first fork on

        def body() -> None:
            ctypes.pythonapi.PyOS_BeforeFork()
            ctypes.pythonapi.PyOS_AfterFork_Parent()

        self.check(body)
        self.assertEqual(count, sys.getrefcount(callback) - in_plan)

    def test_in_step_as_hooks_come_and_go(self) -> None:
        def body() -> None:
            with atfork.register(prepare=total_of_nothing, parent=total_of_nothing):
                ctypes.pythonapi.PyOS_BeforeFork()
                ctypes.pythonapi.PyOS_AfterFork_Parent()

        self.check(body)

    def test_errors(self) -> None:
        def fail() -> None:
            raise ValueError

        sys.unraisablehook = lambda args: None
        atfork.register(prepare=fail, parent=fail)

        def body() -> None:
            ctypes.pythonapi.PyOS_BeforeFork()
            ctypes.pythonapi.PyOS_AfterFork_Parent()

        self.check(body)

    def test_calls(self) -> None:
        value = atfork.per_process(list)
        function = Scenario.held.scenario_count

        def body() -> None:
            atfork.generation(), atfork.lineage(), atfork.seed(2**63), atfork.poll(), atfork.token(), atfork.hooks()
            value()
            atfork.symbol(None, "abort")
            atfork.register_after_fork(function).unregister()

        atfork.register(name="one", child=total_of_nothing)
        self.check(body)

    def test_owners_and_keys(self) -> None:
        class Client:
            def reset(self) -> None:
                pass

        def body() -> None:
            client = Client()
            atfork.register(child=client.reset)
            atfork.register(key="k", child=total_of_nothing, owner=client)
            atfork.register(key=("k", 1), prepare=client.reset, child=total_of_nothing).unregister()
            ctypes.pythonapi.PyOS_BeforeFork()
            ctypes.pythonapi.PyOS_AfterFork_Parent()

        self.check(body, ROUNDS // 10)

    def test_values(self) -> None:
        class Client:
            def __init__(self) -> None:
                self.value = atfork.per_process(self.connect)

            def connect(self) -> object:
                return self

        def body() -> None:
            value = atfork.per_process(list, discard=list.clear)
            value()
            value.reset()
            Client().value()

        self.check(body, ROUNDS // 10)

    def test_c_functions(self) -> None:
        number = ctypes.c_int(1)

        def body() -> None:
            symbol = atfork.symbol(None, "abort", ctypes.byref(number))
            hook = atfork.register(parent=total_of_nothing, child=symbol)
            atfork.register(key="once", prepare=hook.unregister)
            ctypes.pythonapi.PyOS_BeforeFork()
            ctypes.pythonapi.PyOS_AfterFork_Parent()

        self.check(body, ROUNDS // 10)

    def test_locks(self) -> None:
        lock = threading.RLock()

        def body() -> None:
            with atfork.register_lock(lock):
                ctypes.pythonapi.PyOS_BeforeFork()
                ctypes.pythonapi.PyOS_AfterFork_Parent()

        self.check(body, ROUNDS // 10)

    def test_bad_calls(self) -> None:
        def body() -> None:
            for call, argument in bad:
                try:
                    call(argument)
                except (TypeError, ValueError):
                    pass

        bad: Any = [
            (atfork.register_after_fork, None),
            (atfork.seed, "x"),
            (atfork.seed, 2**70),
            (atfork.spawned, "x"),
            (lambda name: atfork.register(name=name, child=total_of_nothing), "\udc80"),
            (lambda name: atfork.symbol(None, name), "no_such_symbol_anywhere"),
            (lambda data: atfork.symbol(None, "abort", data), 1.5),
            (lambda key: atfork.register(key=key, child=total_of_nothing), []),
            (lambda owner: atfork.register(key="bad", owner=owner, child=body), 3),
            (lambda child: atfork.register(prepare=ctypes.pythonapi.abort, key="bad", child=child), 3),
        ]
        self.check(body, ROUNDS // 10)

    def test_in_children(self) -> None:
        """In each child, and after forks in C and pending calls in the parent."""
        atfork.register(parent=total_of_nothing, child=total_of_nothing)

        def body() -> None:
            for way in ("python", "fork"):
                pid = os.fork() if way == "python" else Scenario.fork(way)
                if pid == 0:
                    Scenario.exit(0)
                Scenario.wait(pid)

        self.check(body, 300)


def total_of_nothing() -> int:
    return 0


if __name__ == "__main__":
    run_tests()

# SPDX-License-Identifier: MIT
"""Pickling and copying: a hook is refused; functions, values and symbols are found again by their names."""
from __future__ import annotations

import copy
import functools
import inspect
import multiprocessing
import multiprocessing.util
import pickle
from typing import Any, Callable, List

import atfork
from tap import ForkTest, Scenario, run_python, run_tests

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
HOOK = "^cannot pickle or copy {} objects: a hook belongs to its process; register another one there$"


@atfork.register_after_fork
def reseed() -> None:
    """Reseeds."""


@atfork.per_process
def secret() -> str:
    """A secret."""
    return f"the secret of {atfork.lineage()}"


class Holder:
    @atfork.per_process
    def shared() -> str:  # type: ignore[misc]
        return f"a connection of {atfork.lineage()}"

    own = atfork.per_process(list)


def copies(value: Any) -> List[Any]:
    return [copy.copy(value), copy.deepcopy(value), *(pickle.loads(pickle.dumps(value, each)) for each in PROTOCOLS)]


def send(value: Callable[[], str], connection: Any) -> None:
    connection.send((value(), value is secret))


class Refused(ForkTest):
    def check_refused(self, value: object, message: str) -> None:
        ways: List[Callable[[Any], object]] = [copy.copy, copy.deepcopy]
        ways += [functools.partial(pickle.dumps, protocol=protocol) for protocol in PROTOCOLS]
        for way in ways:
            for whole in (value, [value]):
                if way is copy.copy and whole is not value:
                    continue  # the same value in another list
                with self.subTest(way=way), self.assertRaisesRegex(TypeError, message):
                    way(whole)

    def test_a_hook(self) -> None:
        with atfork.register(child=reseed.__wrapped__) as hook:
            self.check_refused(hook, HOOK.format("Hook"))
            self.assertIn(hook.id, [info.id for info in atfork.hooks()])

    def test_a_hook_of_a_function_without_a_name(self) -> None:
        functions: List[Any] = [functools.partial(int, "3"), atfork.symbol(None, "abort")]
        for function in functions:
            with atfork.register_after_fork(function) as hook:
                self.check_refused(hook, HOOK.format("RegisteredFunction"))

    def test_a_value_of_a_function_without_a_name(self) -> None:
        value = atfork.per_process(functools.partial(str, "password"))
        self.assertEqual("password", value())
        message = "^cannot pickle or copy a PerProcess of a partial, which has no name: decorate a function$"
        self.check_refused(value, message)

    def test_what_is_not_found_by_its_name(self) -> None:
        """As for functions."""
        for value in (atfork.per_process(lambda: 3), atfork.per_process(Holder().__str__), atfork.per_process(list)):
            for protocol in PROTOCOLS:
                with self.assertRaises((pickle.PicklingError, AttributeError)):
                    pickle.dumps(value, protocol)


class ByName(ForkTest):
    def test_a_decorated_hook(self) -> None:
        for each in copies(reseed):
            self.assertIs(reseed, each)

    def test_a_value_of_each_process(self) -> None:
        self.assertEqual("the secret of 0", secret())
        for each in [*copies(secret), *copies([secret])[1:]]:
            self.assertIs(secret, each[0] if isinstance(each, list) else each)
        self.assertNotIn(b"the secret", pickle.dumps(secret))
        for each in copies(Holder.shared):
            self.assertIs(Holder.shared, each)

    def test_a_value_handed_to_workers(self) -> None:
        """Each has one of its own, also when this process has made one."""
        secret()
        for method in ("fork", "spawn", "forkserver"):
            context: Any = multiprocessing.get_context(method)
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=send, args=(secret, sender))
            process.start()
            sender.close()
            text, is_the_module_s = receiver.recv()
            process.join()
            self.assertRegex(text, r"^the secret of 0(\.\d+)+$", method)
            self.assertTrue(is_the_module_s, method)

    def test_a_symbol(self) -> None:
        for library, name in ((Scenario.path, "scenario_count"), (None, "abort")):
            symbol = atfork.symbol(library, name)
            for each in copies(symbol):
                self.assertEqual((library, name, symbol.address), (each.library, each.name, each.address))

    def test_a_symbol_in_another_process(self) -> None:
        """Where the library lies at another address, and is loaded if need be."""
        packed = pickle.dumps(atfork.symbol(Scenario.path, "scenario_count"))
        code = "import atfork, pickle, sys\nsymbol = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        code += "print(symbol.address == atfork.symbol(sys.argv[2], 'scenario_count').address)"
        run = run_python(code, packed.hex(), Scenario.path)
        self.assertEqual(("True\n", ""), (run.stdout, run.stderr))

    def test_a_symbol_that_is_not_there(self) -> None:
        packed = pickle.dumps(atfork.symbol(Scenario.path, "scenario_count"), 0)
        with self.assertRaisesRegex(ValueError, "scenario_gone"):
            pickle.loads(packed.replace(b"scenario_count", b"scenario_gone"))

    def test_what_is_data(self) -> None:
        self.assertEqual(atfork.hooks(), pickle.loads(pickle.dumps(atfork.hooks())))


class Shown(ForkTest):
    """A value of each process, as the function that makes it."""

    def test_names(self) -> None:
        self.assertEqual(("secret", "secret", __name__), (secret.__name__, secret.__qualname__, secret.__module__))
        self.assertEqual("A secret.", secret.__doc__)
        self.assertEqual("the secret of 0", secret.__wrapped__())
        self.assertEqual("() -> 'str'", str(inspect.signature(secret)))
        self.assertEqual("Holder.shared", Holder.shared.__qualname__)

    def test_without_the_value(self) -> None:
        secret()
        self.assertEqual("<atfork.PerProcess secret>", repr(secret))
        self.assertEqual("<atfork.PerProcess partial>", repr(atfork.per_process(functools.partial(str, "password"))))

    def test_attributes_of_the_function_hide_none_of_its_own(self) -> None:
        def init() -> str:
            return "it"

        setattr(init, "reset", None)
        setattr(init, "__call__", None)
        value = atfork.per_process(init)
        value.reset()
        self.assertEqual("it", value())


def decorate(function: Callable[..., object]) -> Callable[..., object]:
    """Its types know that these are errors."""
    return atfork.per_process(function)


class Methods(ForkTest):
    MESSAGE = (
        r"^make must need no arguments, but Methods.{}.<locals>.Holder.connect\(\) needs self; "
        r"for a value of each object: self.value = atfork.per_process\(self.connect\), in __init__\(\)$"
    )

    def test_are_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, self.MESSAGE.format("test_are_refused")):

            class Holder:
                @decorate
                def connect(self) -> str:
                    return "a connection"

    def test_are_refused_as_properties(self) -> None:
        with self.assertRaisesRegex(TypeError, self.MESSAGE.format("test_are_refused_as_properties")):

            class Holder:
                @property
                @decorate
                def connect(self) -> str:
                    return "a connection"

    def test_other_functions_that_need_arguments(self) -> None:
        with self.assertRaisesRegex(TypeError, r"^make must need no arguments, but copies\(\) needs value$"):
            decorate(copies)

    def test_what_the_message_says_works(self) -> None:
        class Holder:
            def __init__(self) -> None:
                self.value = atfork.per_process(self.connect)

            def connect(self) -> List[object]:
                return [self]

        one, other = Holder(), Holder()
        self.assertEqual(([one], [other]), (one.value(), other.value()))
        self.assertIs(one.value(), one.value())

    def test_in_a_class_but_of_no_object(self) -> None:
        """One value for all of its objects."""
        self.assertEqual("a connection of 0", Holder.shared())
        self.assertIs(Holder.own(), Holder().own())

    def test_functions_that_need_none(self) -> None:
        inits: List[Any] = [lambda base=7: base, lambda *rest: 7, lambda *, base=7: base]
        for init in inits:
            self.assertEqual(7, atfork.per_process(init)())


if __name__ == "__main__":
    run_tests(multiprocessing.util._exit_function)

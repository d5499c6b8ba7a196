# SPDX-License-Identifier: MIT
"""Hooks that are unregistered when their owner is collected, in whichever thread; and hooks that a later one of the
same key replaces."""
from __future__ import annotations

import gc
import threading
import weakref
from typing import Any, Callable, List, Optional

import atfork
from tap import ForkTest, Scenario, run_python, run_tests, scenario

# The collector runs in a thread that has a lock, for which another thread's fork waits in a prepare.
COLLECTED_UNDER_A_LOCK = """
import faulthandler, gc, os, sys, threading
import atfork
faulthandler.dump_traceback_later(20, exit=True)
lock, inside = threading.Lock(), threading.Event()
class Client:
    def __init__(self):
        self.me = self
        options = {"child": self.reset} if sys.argv[1] == "method" else {"child": os.getpid, "owner": self}
        self.hook = atfork.register(**options)
    def reset(self): pass
def prepare():
    inside.set()
    lock.acquire()
def fork():
    pid = os.fork()
    if pid == 0: os._exit(0)
    print(os.waitpid(pid, 0)[1], flush=True)
gc.disable()
client = Client()
before = len(atfork.hooks())
atfork.register(prepare=prepare, parent=lock.release, child=lock.release)
client_of_none = Client()
del client_of_none
with lock:
    thread = threading.Thread(target=fork)
    thread.start()
    inside.wait()
    gc.collect()
    del client
    gc.collect()
    print("collected", flush=True)
thread.join()
gc.collect()
print(before, [info.prepare for info in atfork.hooks()])
"""


# The same, where a fork that C code makes waits for a lock of C's: then the core would have the collector wait.
COLLECTED_UNDER_A_LOCK_OF_C = """
import ctypes, faulthandler, gc, os, sys, threading
import atfork
faulthandler.dump_traceback_later(20, exit=True)
libc = ctypes.CDLL(None)
mutex, inside = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
libc.sem_init(inside, 0, 0)
class Client: pass
client = Client()
child = os.getpid if sys.argv[1] == "python" else atfork.symbol(None, "getpid")
atfork.register(child=child, owner=client)
unlock = atfork.symbol(None, "pthread_mutex_unlock", mutex)
atfork.register(prepare=atfork.symbol(None, "pthread_mutex_lock", mutex), parent=unlock, child=unlock)
atfork.register(priority=1, prepare=atfork.symbol(None, "sem_post", inside))
libc.pthread_mutex_lock(mutex)
fork = ctypes.CDLL(sys.argv[2]).scenario_fork_in_thread
thread = threading.Thread(target=lambda: print(fork(b"fork"), flush=True))
thread.start()
libc.sem_wait(inside)
del client
gc.collect()
print("collected", flush=True)
libc.pthread_mutex_unlock(mutex)
thread.join()
print(len(atfork.hooks()))
"""


class Client:
    """Has a method, of which each call is noted."""

    def __init__(self, log: List[str]) -> None:
        self.log = log

    def reset(self) -> None:
        self.log.append("reset")


class Owner(ForkTest):
    def setUp(self) -> None:
        super().setUp()
        self.log: List[str] = []

    def count(self) -> int:
        return len(atfork.hooks())

    @scenario("method-held-weakly")
    def test_a_bound_method_keeps_nothing_alive(self) -> None:
        registers: List[Any] = [
            lambda method: atfork.register(child=method),
            lambda method: atfork.register(prepare=print, child=method),
            atfork.register_after_fork,
        ]
        for register in registers:
            del self.log[:]
            client = Client(self.log)
            weak = weakref.ref(client)
            before = self.count()
            hook = register(client.reset)
            self.in_child(lambda: self.assertEqual(["reset"], self.log))
            del client
            self.assertIsNone(weak())
            self.assertEqual(before, self.count())
            self.in_child(lambda: self.assertEqual([], self.log))
            self.assertFalse(hook.unregister())

    def test_a_decorated_method(self) -> None:
        client = Client(self.log)
        hook = atfork.register_after_fork(client.reset)
        self.assertEqual("reset", hook.__name__)
        hook()
        self.assertEqual(["reset"], self.log)
        self.assertEqual(client.reset, hook.__wrapped__)
        del client
        with self.assertRaises(ReferenceError):
            hook()

    def test_an_object_that_allows_no_weak_reference_is_kept(self) -> None:
        class Slotted:
            __slots__ = ("log",)

            def reset(self) -> None:
                self.log.append("reset")

        slotted = Slotted()
        slotted.log = self.log  # type: ignore[misc]
        atfork.register(child=slotted.reset)
        atfork.register_after_fork(slotted.reset)
        del slotted
        self.in_child(lambda: self.assertEqual(["reset", "reset"], self.log))
        with self.assertRaisesRegex(TypeError, "^owner must allow weak references, but int does not$"):
            atfork.register(child=print, owner=3)

    @scenario("owner-collected", "owner-alive")
    def test_with_an_owner(self) -> None:
        owner, other = Client(self.log), Client(self.log)
        weak = weakref.ref(other)
        before = self.count()
        hook = atfork.register(prepare=owner.reset, child=other.reset, owner=owner)
        del other
        gc.collect()
        self.assertIsNotNone(weak())  # kept, as it is another's method
        self.in_child(lambda: self.assertEqual(["reset", "reset"], self.log))
        del owner
        self.assertEqual((before, None, False), (self.count(), weak(), hook.unregister()))

    @scenario("owner-unregistered")
    def test_the_hook_may_go_first(self) -> None:
        owner = Client(self.log)
        hook = atfork.register(child=lambda: None, owner=owner)
        self.assertTrue(hook.unregister())
        count = self.count()
        del owner
        self.assertEqual(count, self.count())

    def test_a_fork_under_way_keeps_the_owner(self) -> None:
        """So its child has what its prepare was for."""
        client = [Client(self.log)]
        weak = weakref.ref(client[0])
        atfork.register(prepare=client[0].reset, parent=client[0].reset, child=client[0].reset)
        atfork.register(prepare=client.clear, priority=-1)
        self.in_child(lambda: self.assertEqual((["reset"] * 2, None), (self.log, weak())))
        self.assertEqual((["reset"] * 2, None), (self.log, weak()))
        self.in_child(lambda: self.assertEqual(["reset"] * 2, self.log))

    @scenario("owner-in-child")
    def test_collected_in_a_child(self) -> None:
        client = [Client(self.log)]
        atfork.register(child=client[0].reset)

        def body() -> None:
            count = self.count()
            client.clear()
            self.assertEqual(count - 1, self.count())
            self.in_child(lambda: self.assertEqual(["reset"], self.log))

        self.in_child(body)

    @scenario("owner-of-c-function")
    def test_with_a_c_function(self) -> None:
        owner = Client(self.log)
        atfork.register(child=atfork.symbol(Scenario.path, "scenario_count"), owner=owner)
        counted = Scenario.held.scenario_counted
        before = counted()
        self.in_child(lambda: self.assertEqual(before + 1, counted()))
        del owner
        self.in_child(lambda: self.assertEqual(before, counted()))

    @scenario("owner-never-waits")
    def test_collected_under_a_lock_that_a_prepare_waits_for(self) -> None:
        for way in ("method", "owner"):
            run = run_python(COLLECTED_UNDER_A_LOCK, way)
            self.assertEqual(("collected\n0\n1 [True]\n", ""), (run.stdout, run.stderr), way)

    def test_collected_under_a_lock_that_a_prepare_of_c_waits_for(self) -> None:
        for way in ("python", "c"):
            run = run_python(COLLECTED_UNDER_A_LOCK_OF_C, way, Scenario.path)
            self.assertEqual(("collected\n42\n2\n", ""), (run.stdout, run.stderr), way)

    def test_collected_as_a_fork_begins(self) -> None:
        """Another weak reference's callback forks, before that of the hook comes."""
        seen: List[Any] = []

        def fork(_: object) -> None:
            self.in_child(lambda: self.assertEqual([], self.log))
            seen.append(list(self.log))

        cycle: List[Any] = [Client(self.log), Client(self.log)]
        cycle[0].other, cycle[1].other = cycle[1], cycle[0]
        weak = [weakref.ref(each, fork) for each in cycle]
        for each in cycle:
            atfork.register(prepare=lambda: self.log.append("prepare"), child=each.reset, owner=each)
        del cycle, each
        gc.collect()
        self.assertEqual(([[], []], 2), (seen, len(weak)))


class Compared:
    """A key: all have the same hash, and `act` is called when a key is compared, but not while it runs."""

    act: Optional[Callable[[Compared], object]] = None

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        act, Compared.act = Compared.act, None
        if act is not None:
            act(self)
            Compared.act = act
        return isinstance(other, Compared) and self.value == other.value


class Key(ForkTest):
    def tearDown(self) -> None:
        Compared.act = None
        super().tearDown()

    @scenario("key-replaces", "key-read-again")
    def test_a_hook_of_the_same_key_is_replaced(self) -> None:
        """As a configuration file that is read again at each reload registers."""
        log: List[int] = []
        count = len(atfork.hooks())
        hooks = [atfork.register(key=("config", 1), child=lambda i=i: log.append(i)) for i in range(4)]
        self.assertEqual(count + 1, len(atfork.hooks()))
        self.in_child(lambda: self.assertEqual([3], log))
        self.assertEqual(("config", 1), hooks[3].key)
        self.assertEqual([False, False, False, True], [hook.unregister() for hook in hooks])
        self.assertIsNone(hooks[3].key)

    @scenario("key-let-go")
    def test_a_key_that_refers_to_its_hook_is_collected(self) -> None:
        client = Client([])
        client.hook = atfork.register(key=client, child=client.reset)  # type: ignore[attr-defined]
        weak = weakref.ref(client)
        client.hook.unregister()  # type: ignore[attr-defined]
        del client
        gc.collect()
        self.assertIsNone(weak())

    @scenario("key-equality")
    def test_keys_are_compared_as_python_does(self) -> None:
        log: List[str] = []
        atfork.register(key=1, child=lambda: log.append("int"))
        atfork.register(key="1", child=lambda: log.append("str"))
        atfork.register(key=1.0, child=lambda: log.append("float"))
        atfork.register(child=lambda: log.append("none"))
        hook = atfork.register(child=lambda: log.append("none"))
        self.assertIsNone(hook.key)
        self.in_child(lambda: self.assertEqual(["str", "float", "none", "none"], log))

    @scenario("key-in-threads")
    def test_threads_leave_one(self) -> None:
        count = len(atfork.hooks())
        for _ in range(20):
            register = lambda: atfork.register(key="k", child=lambda: None)  # noqa: E731
            threads = [threading.Thread(target=register) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(count + 1, len(atfork.hooks()))

    def test_a_key_is_free_again(self) -> None:
        log: List[int] = []
        atfork.register(key="k", child=lambda: log.append(1)).unregister()
        second = atfork.register(key="k", child=lambda: log.append(2))
        owner = Client([])
        atfork.register(key="o", child=lambda: log.append(3), owner=owner)
        del owner
        third = atfork.register(key="o", child=lambda: log.append(4))
        self.in_child(lambda: self.assertEqual([2, 4], log))
        self.assertTrue(second.unregister() and third.unregister())

    @scenario("key-kept-by-bad-call")
    def test_what_fails_leaves_the_key_as_it_was(self) -> None:
        log: List[int] = []
        hook = atfork.register(key="k", child=lambda: log.append(1))
        for options in ({"priority": 2**40}, {"name": 3}, {"child": 3}, {"owner": 3}):
            with self.assertRaises((TypeError, ValueError)):
                atfork.register(**{"key": "k", "child": print, **options})  # type: ignore[arg-type]
        with self.assertRaises(TypeError):
            atfork.register(key=[], child=print)
        self.in_child(lambda: self.assertEqual([1], log))
        self.assertTrue(hook.unregister())

    @scenario("key-compared-anew")
    def test_a_comparison_that_registers_leaves_one(self) -> None:
        """The comparison may be any Python code: a signal handler or a finaliser may run in it, or another thread."""
        for times in range(1, 6):
            for value in ("replaced", "new"):
                with atfork.register(key=Compared("replaced"), name="replaced", child=lambda: None):
                    count = iter(range(times))

                    def register(key: Compared) -> None:
                        if next(count, None) is not None:
                            atfork.register(key=Compared(value), name=value, child=lambda: None)

                    Compared.act = register
                    last = atfork.register(key=Compared(value), name=value, child=lambda: None)
                    Compared.act = None
                    self.assertEqual([last.id], [info.id for info in atfork.hooks() if info.name == value])
                    self.assertIsNone(next(count, None))
                    self.assertTrue(last.unregister())

    @scenario("key-compared-anew")
    def test_a_comparison_that_unregisters(self) -> None:
        """The hook whose key is compared, or the one after it."""
        log: List[str] = []
        for last in (0, 1, 2):
            hooks = [atfork.register(key=Compared(i), child=lambda: log.append("old")) for i in range(3)]
            Compared.act = lambda key: [hook.unregister() for hook in hooks]
            new = atfork.register(key=Compared(last), child=lambda: log.append("new"))
            Compared.act = None
            self.in_child(lambda: self.assertEqual(["new"], log))
            self.assertEqual([False] * 3, [hook.unregister() for hook in hooks])
            self.assertTrue(new.unregister())

    def test_a_comparison_that_always_registers_without_a_key(self) -> None:
        hook = atfork.register(key=Compared(1), child=lambda: None)
        tries = iter(range(10))

        def register(key: Compared) -> None:
            next(tries)
            atfork.register(child=lambda: None).unregister()

        Compared.act = register
        last = atfork.register(key=Compared(1), child=lambda: None)
        Compared.act = None
        self.assertEqual((1, False, True), (next(tries), hook.unregister(), last.unregister()))

    def test_only_registering_compares(self) -> None:
        """So unregister() cannot fail, and the collector, which unregisters too, runs no code of a key."""
        owner = Client([])
        hooks = [atfork.register(key=Compared(i), owner=owner, child=lambda: None) for i in range(3)]
        compared: List[Compared] = []
        Compared.act = compared.append
        self.assertTrue(hooks[1].unregister())
        del owner
        self.assertEqual([False] * 3, [hook.unregister() for hook in hooks])
        self.assertEqual([], compared)

    def test_a_comparison_that_raises_replaces_nothing(self) -> None:
        hook = atfork.register(key=Compared(1), child=lambda: None)
        Compared.act = lambda key: 1 // 0
        with self.assertRaises(ZeroDivisionError):
            atfork.register(key=Compared(2), child=lambda: None)
        Compared.act = None
        count = len(atfork.hooks())
        atfork.register(key=Compared(1), child=lambda: None)
        self.assertEqual((count, False), (len(atfork.hooks()), hook.unregister()))

    def test_many_keys(self) -> None:
        """Of few hashes, and of many: none is lost when the table grows."""
        for kind in (Compared, str, lambda i: i * 4096):
            hooks = [atfork.register(key=kind(i), child=lambda: None) for i in range(200)]
            count = len(atfork.hooks())
            hooks += [atfork.register(key=kind(i), child=lambda: None) for i in range(200)]
            self.assertEqual(count, len(atfork.hooks()))
            self.assertEqual([False] * 200 + [True] * 200, [hook.unregister() for hook in hooks])

    @scenario("key-in-callback")
    def test_replaced_inside_a_callback(self) -> None:
        """The one before gets the rest of the fork, and the new one takes part in the next."""
        log: List[str] = []

        def renew() -> None:
            note = f"child of {len(log)}"
            log.append("prepare")
            atfork.register(key="k", prepare=renew, child=lambda: log.append(note))

        renew()
        del log[:]
        self.in_child(lambda: self.assertEqual(["prepare", "child of 0"], log))
        self.in_child(lambda: self.assertEqual(["prepare", "prepare", "child of 0"], log))


if __name__ == "__main__":
    run_tests()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fault injection leaves nothing out: each function of the API is called, and each request of the library is refused.

complete.py READELF LIBRARY MAP
"""
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

READELF, LIBRARY, MAP = sys.argv[1:4]

# What the library calls, and fault.c does not stand before; and why.
NOT_REFUSED = {
    "of the compiler and the linker": "assert_fail cxa_finalize errno_location gmon_start stack_chk_fail tls_get_addr "
    "ITM_deregisterTMCloneTable ITM_registerTMCloneTable",
    "only reads or writes memory": "ctype_b_loc ctype_tolower_loc memcpy memmove memset snprintf sscanf strchr strcmp "
    "strlen strrchr strtoul dl_iterate_phdr",
    "the kernel or the C library always has an answer": "clock_gettime close getauxval getpid "
    "pthread_setcancelstate pthread_sigmask secure_getenv sigdelset sigfillset sysconf unsetenv",
    "a mutex of the library's own, to learn whether the C library notes owners": "pthread_mutex_lock",
    "fails as the mutex is another thread's, in test/core/mutex_bypass.c": "pthread_mutex_unlock",
    "the C library asks nobody": "pthread_mutex_init pthread_mutexattr_destroy pthread_mutexattr_init "
    "pthread_mutexattr_settype",
    "refused in test/core/copies_odd.c": "dlsym",
    "tells of a copy that cannot be used, when nothing can be done": "writev",
}


def called():
    """What a program that links the library calls of it; a plain name's macro calls the one for an object."""
    text = "".join(path.read_text() for path in HERE.glob("*.c"))
    names = set(re.findall(r"\batfork_\w+(?=\)?\()", text))
    return names | {f"{name}_for" for name in names}


def exported():
    return set(re.findall(r"^ +(atfork_\w+);$", pathlib.Path(MAP).read_text(), re.MULTILINE))


def wrapped():
    text = (HERE / "fault.c").read_text()
    return set(re.findall(r"\b(?:__wrap_|WRAP_[A-Z]+\()(\w+)", text))


def plain(name):
    """snprintf, of __snprintf_chk@GLIBC_2.3.4."""
    return re.sub(r"^_+(isoc\d+_)?|_chk$|_+$", "", name.partition("@")[0])


def imported():
    """What the library needs of others."""
    run = subprocess.run([READELF, "-W", "--dyn-syms", LIBRARY], capture_output=True, text=True, check=True)
    rows = [line.split() for line in run.stdout.splitlines()]
    return {plain(row[7]) for row in rows if len(row) >= 8 and row[6] == "UND"}


def test_each_function_is_called():
    tap.equal(sorted(exported() - called()), ["atfork_version"])  # it returns a constant


def test_each_request_is_refused():
    # The C library's name for pthread_atfork(), which lies in its static part.
    refused = {plain(name) for name in wrapped()} | {"register_atfork"}
    known = refused | set(" ".join(NOT_REFUSED.values()).split())
    tap.equal(sorted(imported() - known), [])


sys.exit(tap.run(globals()))

# SPDX-License-Identifier: MIT
"""Programs that run as another user: whether there are such, and one of them."""
import os
import shutil
import stat

import tap


def needs_to_become_another():
    """Skips a case if this process may not become another user."""
    if os.geteuid() != 0:
        raise tap.Skipped("to become another user wants a privilege")


def is_nosuid(path):
    """Whether the kernel ignores set-user-ID bits and file capabilities there, as in /tmp of many systems."""
    return bool(os.statvfs(path).f_flag & os.ST_NOSUID)


def needed_in(path):
    """Skips a case if no program there runs as another user; in many containers, none does."""
    with open("/proc/self/status", encoding="ascii") as status:
        if is_nosuid(path) or "NoNewPrivs:\t1" in status.read():
            raise tap.Skipped("no program gains privileges here")


def program_of_another(directory):
    """A program that runs as another user: a copy that is made there, or one of the system's."""
    needed_in(directory)
    program = shutil.copy("/bin/true", directory)
    try:
        os.chown(program, 65533 if os.geteuid() == 65534 else 65534, -1)
    except PermissionError:
        return "/bin/su"
    os.chmod(program, 0o755 | stat.S_ISUID)
    return program

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HAProxy as a master and a worker, with hooks in its Lua.  Speaks the Test Anything Protocol.

haproxy.py MODULES LIBRARY ROOT    MODULES has atfork-5.3.so and its like, LIBRARY is where libatfork lies; ROOT has
                                   HAProxy unpacked (script/bootstrap), else the system's is used

It has started and joined threads before it reads its configuration, and gives each request's coroutine a debug hook.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Seconds until a wait is given up; script/test says how many times as long things take here as on an idle machine.
PATIENCE = 60 * int(os.environ.get("ATFORK_TEST_SLOWNESS", "1"))

CONFIGURATION = """
global
  master-worker
  nbthread {threads}
  lua-load {work}/hooks.lua
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend lua
  bind unix@{work}/socket
  http-request use-service lua.answer
"""

HOOKS = """
local atfork = require "atfork"
local ran = { prepare = 0, child = 0 }
atfork.register {
  prepare = function() ran.prepare = ran.prepare + 1 end,
  parent = function() io.stderr:write("parent after ", ran.prepare, " prepare\\n") end,
  child = function()
    ran.child = ran.child + 1
    ran.prepared = atfork.prepared()
  end,
}
core.register_service("answer", "http", function(applet)
  local answer = ("%d %d %s %s"):format(ran.prepare, ran.child, tostring(ran.prepared), atfork.lineage())
  applet:set_status(200)
  applet:add_header("content-length", tostring(#answer))
  applet:start_response()
  applet:send(answer)
end)
"""


def ask(path):
    """What the service answers; waits until there is one."""
    for _ in range(PATIENCE * 10):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(str(path))
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                with client.makefile("rb") as answer:
                    return answer.read().decode().rsplit("\r\n", 1)[-1]
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.1)
    raise TimeoutError("HAProxy does not answer")


def answers(haproxy, environment, threads):
    """What three requests are answered, and what HAProxy writes to stderr."""
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        (work / "hooks.lua").write_text(HOOKS)
        (work / "configuration").write_text(CONFIGURATION.format(work=work, threads=threads))
        command = [haproxy, "-W", "-f", str(work / "configuration")]
        master = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            said = [ask(work / "socket") for _ in range(3)]
        finally:
            master.send_signal(signal.SIGTERM)
            _, errors = master.communicate(timeout=PATIENCE)
        return said, errors


def main(modules, library, root):
    root = pathlib.Path(root)
    haproxy = shutil.which("haproxy", path=f"{root}/usr/sbin:{os.environ['PATH']}:/usr/sbin")
    if haproxy is None:
        print("1..0 # SKIP there is no HAProxy; script/bootstrap test unpacks one")
        return 0
    libraries = [library, *map(str, root.glob("usr/lib/*")), *os.environ.get("LD_LIBRARY_PATH", "").split(":")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, libraries))}
    about = subprocess.check_output([haproxy, "-vv"], text=True, env=environment)
    version = re.search(r"Built with Lua version : Lua (\d\.\d)", about)
    module = pathlib.Path(modules) / f"atfork-{version[1]}.so" if version else None
    if module is None or not module.exists():
        print("1..0 # SKIP atfork is not built for the Lua of this HAProxy")
        return 0
    environment["LUA_CPATH"] = f"{modules}/?-{version[1]}.so;;"
    print("1..2")
    failed = False
    for number, threads in enumerate((1, 4), 1):
        said, errors = answers(haproxy, environment, threads)
        good = said == ["1 1 true 0.1"] * 3 and errors.count("parent after 1 prepare") == 1
        failed |= not good
        print(f"{'ok' if good else 'not ok'} {number} - each hook runs once, at once, with nbthread {threads}")
        if not good:
            print("# " + "\n# ".join([*said, *errors.splitlines()]))
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

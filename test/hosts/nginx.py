#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nginx with its Lua module, as a master and 4 workers, through reloads and kills.  Speaks the Test Anything Protocol.

nginx.py MODULE LIBRARY ROOT    MODULE is atfork for LuaJIT, LIBRARY where libatfork lies; ROOT has nginx unpacked
                                (script/bootstrap), else the system's is used

Only one request is under way at a time, and what happens to the master and its workers happens between two.  So none may fail.
"""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ports import Port  # noqa: E402  pylint: disable=wrong-import-position

WORKERS = 4
# Seconds until a wait is given up; script/test says how many times as long things take here as on an idle machine.
PATIENCE = 60 * int(os.environ.get("ATFORK_TEST_SLOWNESS", "1"))

CONFIGURATION = """
{modules}
daemon off;
worker_processes {workers};
pid {work}/nginx.pid;
error_log {work}/error.log notice;
{user}
events {{ worker_connections 64; }}
"""

HTTP = """
http {{
  access_log off;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi;
  scgi_temp_path {work}/scgi;
  lua_package_path "{root}/usr/share/lua/5.1/?.lua;;";
  lua_package_cpath "{work}/?.so;;";
  init_by_lua_block {{
    atfork = require "atfork"

    worker = {{ first = 0, second = 0 }}
    atfork.register_after_fork(function()
      worker.first = worker.first + 1
      math.randomseed(atfork.seed())
      worker.drawn = math.random(2^52)
    end)
    atfork.register {{
      name = "second",
      priority = 10,
      child = function() worker.second = worker.second + 1 end,
    }}

    -- Made when a worker first asks for it.  It may yield, as connect() of ngx.socket.tcp() does.
    connection = atfork.per_process(function()
      ngx.sleep(0.001)
      return {{ owner = atfork.lineage() }}
    end)
  }}

  server {{
    listen 127.0.0.1:{port};

    location / {{
      content_by_lua_block {{
        local answer = '{{"pid": %d, "generation": %d, "lineage": "%s", "seed": %.0f, "random": %d, '
          .. '"connection": "%s", "ran": {{"first": %d, "second": %d}}}}'
        ngx.say(answer:format(ngx.worker.pid(), atfork.generation(), atfork.lineage(), atfork.seed(42),
          worker.drawn, connection().owner, worker.first, worker.second))
      }}
    }}
  }}
}}
"""


class Nginx:
    """A master of its own, in a directory of its own."""

    def __init__(self, module, library, root, work):
        self.work = work
        self.held = Port()
        self.port = self.held.number
        self.answered = 0
        (work / "atfork.so").symlink_to(module)
        modules = [f"load_module {root}/usr/lib/nginx/modules/{name};" for name in ("ndk_http_module.so", "ngx_http_lua_module.so")]
        text = CONFIGURATION.format(
            modules="\n".join(modules), workers=WORKERS, work=work, user="user root;" if os.geteuid() == 0 else ""
        )
        (work / "nginx.conf").write_text(text + HTTP.format(work=work, root=root, port=self.port))
        luajit = next(root.glob("usr/lib/*/libluajit-5.1.so.2")).parent
        environment = dict(os.environ, LD_LIBRARY_PATH=f"{library}:{luajit}")
        self.master = subprocess.Popen(
            [root / "usr/sbin/nginx", "-p", work, "-c", work / "nginx.conf", "-e", work / "error.log"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(work / "stderr").open("w"),
        )

    def log(self):
        return (self.work / "stderr").read_text() + (self.work / "error.log").read_text()

    def get(self, path="/"):
        """One request by one connection; any failure is an error."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200, f"{response.status} {body!r}"
        self.answered += 1
        return json.loads(body)

    def wait_until_it_listens(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.master.poll() is None, "nginx has ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.01)

    def ask_until(self, enough):
        """Keeps asking, and keeps the latest answer of each worker, until they are enough.  A pid alone may be that of a
        worker that has ended."""
        answers = {}
        deadline = time.monotonic() + PATIENCE
        while not enough(answers):
            assert time.monotonic() < deadline, f"only {sorted(answers)} have answered"
            answer = self.get()
            answers[answer["pid"], answer["random"]] = answer
        return answers

    def end(self):
        self.master.terminate()
        try:
            self.master.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.master.kill()
            self.master.wait()


def check_workers(answers, known):
    """Each worker has its own place and seed, and has run each hook once."""
    for answer in answers.values():
        assert answer["generation"] == 1, answer
        assert re.fullmatch(r"0\.\d+", answer["lineage"]), answer
        assert answer["ran"] == {"first": 1, "second": 1}, answer
        assert answer["connection"] == answer["lineage"], answer
    for what in ("lineage", "seed", "random"):
        values = [answer[what] for answer in (known | answers).values()]
        assert len(set(values)) == len(values), f"{what}: {values}"


def check_first(nginx, known):
    nginx.wait_until_it_listens()
    answers = nginx.ask_until(lambda seen: len(seen) == WORKERS)
    check_workers(answers, known)
    known.update(answers)


def check_reload(nginx, known):
    nginx.master.send_signal(signal.SIGHUP)
    answers = nginx.ask_until(lambda seen: len(set(seen) - set(known)) == WORKERS)
    fresh = {worker: answer for worker, answer in answers.items() if worker not in known}
    check_workers(fresh, known)
    known.update(fresh)
    nginx.current = set(fresh)


def check_killed_worker(nginx, known):
    killed = min(nginx.current)
    os.kill(killed[0], signal.SIGKILL)
    answers = nginx.ask_until(lambda seen: set(seen) - set(known))
    assert killed not in answers, "a dead worker answers"
    fresh = {worker: answer for worker, answer in answers.items() if worker not in known}
    assert len(fresh) == 1, fresh
    check_workers(fresh, known)
    known.update(fresh)


def check_log(nginx, known):
    bad = [line for line in nginx.log().splitlines() if re.search(r"\[(error|crit|alert|emerg)\]|atfork: error", line)]
    bad = [line for line in bad if "exited on signal 9" not in line]
    assert not bad, "\n".join(bad)
    assert nginx.answered > 2 * WORKERS, nginx.answered


CHECKS = [
    ("each worker answers for itself", check_first),
    ("a reload, with no request failed", check_reload),
    ("a killed worker, with no request failed", check_killed_worker),
    ("no error in nginx's log", check_log),
]


def find_root(unpacked):
    for root in (pathlib.Path(unpacked), pathlib.Path("/")):
        if (root / "usr/sbin/nginx").exists() and (root / "usr/lib/nginx/modules/ngx_http_lua_module.so").exists():
            return root
    return None


def main(module, library, unpacked):
    root = find_root(unpacked)
    if root is None:
        print("1..0 # SKIP nginx with its Lua module is not here: script/bootstrap test")
        return 0
    failed, known = 0, {}
    print(f"1..{len(CHECKS)}")
    with tempfile.TemporaryDirectory() as work:
        nginx = Nginx(module, library, root, pathlib.Path(work))
        try:
            for number, (name, check) in enumerate(CHECKS, 1):
                try:
                    check(nginx, known)
                    print(f"ok {number} - {name}", flush=True)
                except (AssertionError, OSError, http.client.HTTPException) as error:
                    failed += 1
                    print(f"not ok {number} - {name}")
                    print("# " + f"{type(error).__name__}: {error}\n{nginx.log()}".replace("\n", "\n# "), flush=True)
                    break  # each builds on the one before
        finally:
            nginx.end()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

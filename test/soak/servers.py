# SPDX-License-Identifier: MIT
"""The servers: how each is started, how it reloads, and where its processes are."""
from __future__ import annotations

import os
import pathlib
import shutil
import signal
from typing import Callable, Dict, List, NamedTuple, Optional

import processes

from ports import Port  # found by the path that processes.py adds

HERE = pathlib.Path(__file__).resolve().parent


class Build(NamedTuple):
    """Where what they load has been built, and where servers are unpacked."""

    path: pathlib.Path
    hosts: pathlib.Path

    def has(self, module: str) -> bool:
        """A binding, by its module."""
        return any(self.path.glob(f"bindings/{module}"))

    def environment(self) -> Dict[str, str]:
        return {
            "LD_LIBRARY_PATH": str(self.path / "lib"),
            "PYTHONPATH": f"{self.path}/bindings/python:{HERE}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "RUBYLIB": str(self.path / "bindings/ruby"),
        }


class Reload(NamedTuple):
    """A signal to the master, and whether it replaces only the workers that are not the master's own children."""

    name: str
    number: int
    others: bool = False


class Kind(NamedTuple):
    command: Callable[["Server"], Optional[List[str]]]  # None: it is not here
    reloads: List[Reload]
    end: int = signal.SIGTERM
    graceful: int = signal.SIGTERM  # ends a worker


class Server:
    """One of a kind, in a directory of its own.  One that is `changing` is reloaded, and any of its workers is ended;
    else nothing is reloaded, and the eldest worker stays."""

    def __init__(
        self, kind: str, changing: bool, library: bool, build: Build, work: pathlib.Path, fault: str = ""
    ) -> None:
        self.kind, self.changing, self.library, self.build = KINDS[kind], changing, library, build
        self.mode = kind
        self.name = kind + ("" if changing else "-steady") + ("" if library else "-without")
        self.directory = work / self.name
        self.directory.mkdir()
        self.held = Port()
        self.port = self.held.number
        self.environment = {**os.environ, **build.environment(), "SOAK_PORT": str(self.port), "SOAK_MODE": kind}
        # glibc raises that after each large block that is freed, and keeps the next ones: so a leak would not be seen.
        self.environment["MALLOC_MMAP_THRESHOLD_"] = "131072"
        for name in ("ATFORK_RUN", "ATFORK_TOKEN", "SOAK_PROBE", "SOAK_FAULT"):
            self.environment.pop(name, None)
        if library:
            self.environment["SOAK_PROBE"] = str(self.probe)
            self.environment["SOAK_FAULT"] = fault
        self.master = 0

    @property
    def probe(self) -> pathlib.Path:
        return self.build.path / "test/soak/libsoak-probe.so"

    def is_here(self) -> bool:
        return self.kind.command(self) is not None

    def start(self) -> None:
        command = self.kind.command(self)
        assert command is not None
        self.master = processes.start(command, self.directory, self.environment)

    def follow(self) -> None:
        """unicorn's new master is another process."""
        try:
            pid = int((self.directory / "pid").read_text())
        except (OSError, ValueError):
            return
        if self.mode == "unicorn" and processes.birth(pid) is not None:
            self.master = pid

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*log")))


# ---- Each one ----

NGINX = """
load_module {root}/usr/lib/nginx/modules/ndk_http_module.so;
load_module {root}/usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
worker_processes 2;
pid {work}/nginx.pid;
error_log {work}/error.log notice;
env SOAK_FAULT;
{user}
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {work}/body;
  proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi;
  scgi_temp_path {work}/scgi;
  lua_package_path "{here}/?.lua;{modules}/?.lua;{root}/usr/share/lua/5.1/?.lua;;";
  lua_package_cpath "{work}/?.so;;";
  init_by_lua_block {{ answer = require("workload")({probe}) }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ content_by_lua_block {{ ngx.say(answer(ngx.var.uri)) }} }}
  }}
}}
"""


def nginx(server: Server) -> Optional[List[str]]:
    root, build = server.build.hosts / "nginx", server.build.path
    if not (root / "usr/sbin/nginx").exists() or not server.build.has("lua/atfork-jit.so"):
        return None
    link = server.directory / "atfork.so"
    if not link.is_symlink():
        link.symlink_to(build / "bindings/lua/atfork-jit.so")
    text = NGINX.format(
        root=root,
        work=server.directory,
        here=HERE,
        modules=build / "bindings/lua",
        port=server.port,
        user="user root;" if os.geteuid() == 0 else "",
        probe=f'"{server.probe}"' if server.library else "",
    )
    (server.directory / "nginx.conf").write_text(text)
    luajit = next(root.glob("usr/lib/*/libluajit-5.1.so.2")).parent
    server.environment["LD_LIBRARY_PATH"] = f"{build}/lib:{luajit}"
    work = server.directory
    return [str(root / "usr/sbin/nginx"), "-p", str(work), "-c", f"{work}/nginx.conf", "-e", f"{work}/error.log"]


def puma(server: Server) -> Optional[List[str]]:
    if not shutil.which("puma") or not server.build.has("ruby/atfork/native.so"):
        return None
    return ["puma", "-C", str(HERE / "puma.rb")]


def unicorn(server: Server) -> Optional[List[str]]:
    root = server.build.hosts / "unicorn"
    program = shutil.which("unicorn", path=f"{root}/usr/bin:{os.environ['PATH']}")
    if program is None or not server.build.has("ruby/atfork/native.so"):
        return None
    libraries = [root / "usr/lib/ruby/vendor_ruby", *root.glob("usr/lib/*/ruby/vendor_ruby/*")]
    gems = [*root.glob("usr/lib/*/rubygems-integration/*"), root / "usr/share/rubygems-integration/all"]
    libraries += [path for gem in gems for path in [*gem.glob("gems/*/lib"), *gem.glob("extensions/*/*/*")]]
    server.environment["RUBYLIB"] = ":".join(map(str, [server.build.path / "bindings/ruby", *libraries]))
    return [program, "-c", str(HERE / "unicorn.rb"), "-E", "none", str(HERE / "config.ru")]


def gunicorn(server: Server) -> Optional[List[str]]:
    if not shutil.which("gunicorn") or not server.build.has("python/atfork/_native*.so"):
        return None
    options = ["-c", str(HERE / "gunicorn_conf.py"), "-b", f"127.0.0.1:{server.port}"]
    return ["/usr/bin/python3", "-m", "gunicorn.app.wsgiapp", *options, "workload:application"]


def uwsgi(server: Server) -> Optional[List[str]]:
    if not shutil.which("uwsgi") or not server.build.has("python/atfork/_native*.so"):
        return None
    command = ["uwsgi", "--plugin", "python3", "--http-socket", f"127.0.0.1:{server.port}", "--master", "--need-app"]
    return [*command, "--processes", "2", "--disable-logging", "--wsgi-file", str(HERE / "workload.py")]


KINDS = {
    "nginx": Kind(nginx, [Reload("HUP", signal.SIGHUP)], end=signal.SIGTERM, graceful=signal.SIGQUIT),
    "puma": Kind(puma, [Reload("USR1", signal.SIGUSR1), Reload("USR2", signal.SIGUSR2)]),
    "fork_worker": Kind(puma, [Reload("URG", signal.SIGURG, True), Reload("USR1", signal.SIGUSR1)]),
    "unicorn": Kind(unicorn, [Reload("HUP", signal.SIGHUP), Reload("USR2", signal.SIGUSR2)], graceful=signal.SIGQUIT),
    "gunicorn": Kind(gunicorn, [Reload("HUP", signal.SIGHUP)]),
    "uwsgi": Kind(uwsgi, [Reload("HUP", signal.SIGHUP)], end=signal.SIGINT),
}

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The servers of doc/guide/server.md, each with the configuration that stands there.  Speaks the Test Anything Protocol.

guide.py DOCUMENT BUILD HOSTS    HOSTS has servers unpacked (script/bootstrap), else the system's are used

Each is sent the signals of the document's table of lineages.  Its new workers must have the lineages of the table, a
connection of their own, and a session number that no other worker has.
"""
import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
import ports  # noqa: E402 pylint: disable=import-error,wrong-import-position
import tap  # noqa: E402 pylint: disable=import-error,wrong-import-position

FENCE = re.compile(r"^```\w+\n(?:#|--) ([\w./-]+\.\w+)(, added)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (\w+) \| (?:start|`(\w+)`) \| ((?:`0[.\d]*`(?:, )?)+) \|", re.MULTILINE)
ASKING = 4  # requests at the same time, so that no worker takes them all


class Guide:
    """The servers' files, by server and name; and the cases: a section with a table of lineages, a server, the files that it adds
    to, and the events, (signal or None, lineages of the new workers)."""

    def __init__(self, text):
        self.text, self.files, self.cases = text, {}, []
        for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
            samples, events = FENCE.findall(section), {}
            self.files[re.match(r"\w+", section)[0]] = {name: text for name, added, text in samples if not added}
            for server, name, lineages in ROW.findall(section):
                events.setdefault(server, []).append((name, re.findall(r"`(.*?)`", lineages)))
            added = {name: text for name, more, text in samples if more}
            self.cases += [(section.split("\n")[0], server, added, each) for server, each in events.items()]

    def files_of(self, server, added):
        return {name: text + added.get(name, "") for name, text in self.files[server].items()}


class Place:
    """Where a server runs, and where it finds the library: copies of what has been built, which another user may read."""

    def __init__(self, build, hosts, work):
        self.hosts, self.work = hosts, work
        os.chmod(work, 0o755)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ATFORK_")}
        self.environment.update(LD_LIBRARY_PATH=f"{work}/lib", PYTHONPATH=f"{work}/python:{work}", RUBYLIB=f"{work}/ruby")
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        copies = [("lib/libatfork.so*", "lib"), ("bindings/lua/*.so", "lua"), ("bindings/lua/atfork/*", "lua/atfork")]
        copies += [("bindings/python/atfork/*", "python/atfork"), ("bindings/ruby/atfork.rb", "ruby")]
        copies += [("bindings/ruby/atfork/*", "ruby/atfork")]
        for pattern, folder in copies:
            (work / folder).mkdir(parents=True, exist_ok=True)
            for path in build.glob(pattern):
                if path.is_file() and path.suffix != ".o":
                    shutil.copy(path, work / folder)
        self.held = ports.Port()
        self.port = self.held.number

    def write(self, files):
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}").replace("/srv", str(self.work))
            path.write_text(text.replace("/usr/local/lib/lua/5.1", f"{self.work}/lua").replace("/usr/local/lib", f"{self.work}/lib"))

    def lua_module(self, version):
        module = self.work / "lua" / f"atfork-{version}.so"
        if not module.exists():
            raise tap.Skipped(f"atfork is not built for Lua {version}")
        module.rename(self.work / "lua" / "atfork.so")

    def program(self, name, root=pathlib.Path("/")):
        path = shutil.which(name, path=f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}:/usr/sbin")
        if path is None:
            raise tap.Skipped(f"there is no {name}: script/bootstrap test")
        return path

    def needs(self, pattern, what):
        if not list(self.work.glob(pattern)):
            raise tap.Skipped(f"atfork is not built for {what}")


# ---- How each is started: a command ----


def nginx(place):
    root = place.hosts / "nginx"
    command = place.program("nginx", root)
    place.lua_module("jit")
    root = root if command.startswith(str(root)) else pathlib.Path("/")
    modules = [f"load_module {root}/usr/lib/nginx/modules/{name}.so;" for name in ("ndk_http_module", "ngx_http_lua_module")]
    user = ["user root;"] if os.geteuid() == 0 else []
    folders = [f"{name}_temp_path {place.work}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    configuration = place.work / "nginx.conf"
    text = configuration.read_text().replace("http {", "\n".join(["http {", "access_log off;", *folders]), 1)
    text = text.replace("lua_package_cpath", f'lua_package_path "{root}/usr/share/lua/5.1/?.lua;;";\nlua_package_cpath', 1)
    configuration.write_text("\n".join([*modules, *user, "env LD_LIBRARY_PATH;", f"pid {place.work}/nginx.pid;", text]))
    luajit = next(root.glob("usr/lib/*/libluajit-5.1.so.2")).parent
    place.environment["LD_LIBRARY_PATH"] += f":{luajit}"
    return [command, "-p", place.work, "-c", configuration, "-e", place.work / "error.log"]


def puma(place):
    place.needs("ruby/atfork/native.so", "Ruby")
    return [place.program("puma"), "-C", "config/puma.rb"]


def unicorn(place):
    root = place.hosts / "unicorn"
    command = place.program("unicorn", root)
    place.needs("ruby/atfork/native.so", "Ruby")
    libraries = [root / "usr/lib/ruby/vendor_ruby", *root.glob("usr/lib/*/ruby/vendor_ruby/*")]
    gems = [*root.glob("usr/lib/*/rubygems-integration/*"), root / "usr/share/rubygems-integration/all"]
    libraries += [path for gem in gems for path in [*gem.glob("gems/*/lib"), *gem.glob("extensions/*/*/*")]]
    place.environment["RUBYLIB"] += "".join(f":{library}" for library in libraries)
    return [command, "-c", "unicorn.rb", "-E", "none", "unicorn.ru"]


def gunicorn(place):
    place.program("gunicorn")
    place.needs("python/atfork/_native*.so", "Python")
    return ["/usr/bin/python3", "-m", "gunicorn.app.wsgiapp", "-c", "gunicorn.conf.py", "gunicorn_app:application"]


def uwsgi(place):
    place.needs("python/atfork/_native*.so", "Python")
    return [place.program("uwsgi"), "--plugin", "python3", "--ini", "uwsgi.ini"]


def apache(place):
    place.needs("python/atfork/_native*.so", "Python")
    root = pathlib.Path("/usr/lib/apache2")
    if not (root / "modules/mod_wsgi.so").exists():
        raise tap.Skipped("there is no mod_wsgi: script/bootstrap test")
    text = (place.work / "httpd.conf").read_text().replace("modules/", f"{root}/modules/")
    user = ["User www-data", "Group www-data"] if os.geteuid() == 0 else []
    more = [f"DefaultRuntimeDir {place.work}", f"PidFile {place.work}/pid", f"ErrorLog {place.work}/error.log", *user]
    (place.work / "httpd.conf").write_text(text + "\n".join(more) + "\n")
    return [place.program("apache2"), "-d", place.work, "-f", place.work / "httpd.conf", "-DFOREGROUND"]


def haproxy(place):
    root = place.hosts / "haproxy"
    command = place.program("haproxy", root)
    libraries = [place.environment["LD_LIBRARY_PATH"], *map(str, root.glob("usr/lib/*"))]
    place.environment["LD_LIBRARY_PATH"] = ":".join(libraries)
    about = subprocess.check_output([command, "-vv"], text=True, env=place.environment)
    version = re.search(r"Built with Lua version : Lua (\d\.\d)", about)
    place.lua_module(version[1] if version else "of HAProxy")
    place.environment["LUA_CPATH"] = f"{place.work}/lua/?.so;;"
    return [command, "-W", "-f", "haproxy.cfg"]


SERVERS = {"nginx": nginx, "Puma": puma, "unicorn": unicorn, "gunicorn": gunicorn, "uWSGI": uwsgi, "Apache": apache, "HAProxy": haproxy}


class Server:
    """One that runs, and what its workers have answered: their lineages and connections by session."""

    def __init__(self, place, command):
        self.place, self.workers, self.signalled = place, {}, None
        self.output = (place.work / "output").open("w")
        self.master = subprocess.Popen(
            command, cwd=place.work, env=place.environment, stdout=self.output, stderr=self.output, start_new_session=True
        )

    def ask(self, _=None):
        """What some worker says, or None where none is there, as while they change."""
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=tap.PATIENCE)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read().decode()
            if response.status != 200:
                raise AssertionError(f"{response.status} {body}")
            return re.fullmatch(r"(\S+) of (\S+) (\d+)\n", body).groups()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def signal(self, name):
        """To the master, which in nginx is in the background."""
        self.signalled = name, time.monotonic()
        pid = self.place.work / "nginx.pid"
        os.kill(int(pid.read_text()) if pid.exists() else self.master.pid, getattr(signal, f"SIG{name}"))

    def signal_again(self, again):
        """HAProxy forgets a signal that comes when the worker serves already, and the master does not wait yet."""
        if again and self.signalled and time.monotonic() > self.signalled[1] + 2:
            self.signal(self.signalled[0])

    def new_workers(self, count, again):
        """The lineages of so many workers that are not known yet."""
        found, deadline = {}, time.monotonic() + tap.PATIENCE
        with concurrent.futures.ThreadPoolExecutor(ASKING) as pool:
            while len(found) < count:
                if time.monotonic() > deadline or self.master.poll():
                    raise AssertionError(f"only {found} have answered")
                self.signal_again(again)
                for lineage, owner, session in filter(None, pool.map(self.ask, range(ASKING))):
                    if session not in self.workers:
                        tap.equal(owner, lineage)
                        found[session] = lineage
        self.workers.update(found)
        return sorted(found.values())

    def log(self):
        names = ("output", "error.log")
        return "".join((self.place.work / name).read_text() for name in names if (self.place.work / name).exists())

    def end(self):
        """Its masters all: those in its process group, and nginx's."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.master.pid, signal.SIGKILL)
        self.master.wait()
        for file in self.place.work.glob("nginx.pid*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGTERM)
        self.output.close()


PROSODY = """
pidfile = "{work}/pid"
plugin_paths = {{ "{work}" }}
modules_enabled = {{ "posix", "fork_example" }}
modules_disabled = {{ "c2s", "s2s", "tls", "offline" }}
run_as_root = true
log = {{ info = "{work}/log" }}
VirtualHost "localhost"
"""


def prosody(place):
    """Its script, which has the folders of Debian's package written into it, with ours."""
    root = place.hosts / "prosody"
    if not root.exists():
        raise tap.Skipped(f"there is no {root}: script/bootstrap test")
    script = pathlib.Path(place.program("prosody", root)).read_text()
    own = {"SOURCEDIR": root / "usr/lib/prosody", "PLUGINDIR": root / "usr/lib/prosody/modules/"}
    for name, folder in {**own, "CONFIGDIR": place.work, "DATADIR": place.work}.items():
        script = re.sub(rf"^CFG_{name}=.*$", f"CFG_{name}='{folder}'", script, flags=re.MULTILINE)
    interpreter = re.match(r"#!.*?(lua(5\.\d))\n", script)
    place.lua_module(interpreter[2])
    place.write({"prosody": script, "prosody.cfg.lua": PROSODY.format(work=place.work)})
    folders = [*root.glob(f"usr/lib/*/lua/{interpreter[2]}"), place.work / "lua"]
    place.environment["LUA_CPATH"] = "".join(f"{folder}/?.so;" for folder in folders) + ";"
    place.environment["LUA_PATH"] = f"{root}/usr/share/lua/{interpreter[2]}/?.lua;;"
    place.environment["LD_LIBRARY_PATH"] += "".join(f":{folder}" for folder in root.glob("usr/lib/*"))
    return [interpreter[1], place.work / "prosody", "-D", "--config", place.work / "prosody.cfg.lua"]


def check_prosody(files, said, build, hosts):
    """It goes into the background; what its module says of that is in its log."""
    with tempfile.TemporaryDirectory() as work:
        place = Place(build, hosts, pathlib.Path(work))
        command = prosody(place)
        place.write(files)
        run = subprocess.run(command, cwd=work, env=place.environment, capture_output=True, text=True, timeout=tap.PATIENCE)
        log, pid = place.work / "log", place.work / "pid"
        deadline = time.monotonic() + tap.PATIENCE
        while not (pid.exists() and pid.read_text()):
            if run.returncode != 0 or time.monotonic() > deadline:
                raise AssertionError(run.stdout + run.stderr)
            time.sleep(0.02)
        os.kill(int(pid.read_text()), signal.SIGTERM)
        startup = (hosts / "prosody/usr/lib/prosody/util/startup.lua").read_text()
        loads_modules_later = "startup.posix_daemonize();" in startup  # since Prosody 13
        tap.equal(re.findall(r"in the background as \S+", log.read_text()), [] if loads_modules_later else said)
        tap.equal(re.findall(r".*fork_example.*rror.*", log.read_text()), [])


def check(server, files, events, build, hosts):
    with tempfile.TemporaryDirectory() as work:
        place = Place(build, hosts, pathlib.Path(work))
        place.write(files)
        running = Server(place, SERVERS[server](place))
        try:
            for event, lineages in events:
                if event:
                    running.signal(event)
                tap.equal((event, running.new_workers(len(lineages), server == "HAProxy")), (event, lineages))
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n{running.log()}") from None
        finally:
            running.end()


def main(document, build, hosts):
    guide = Guide(pathlib.Path(document).read_text(encoding="utf-8"))

    def test_the_tables_name_each_server():
        tap.equal(sorted({server for _, server, _, _ in guide.cases}), sorted(SERVERS))

    tests = {"test_the_tables_name_each_server": test_the_tables_name_each_server}
    for section, server, added, events in guide.cases:
        arguments = (server, guide.files_of(server, added), events, pathlib.Path(build), pathlib.Path(hosts))
        tests[f"test_{server}: {section}"] = lambda arguments=arguments: check(*arguments)
    said = re.findall(r"in the background as [\d.]+", guide.text)
    more = (guide.files["Prosody"], said, pathlib.Path(build), pathlib.Path(hosts))
    tests["test_Prosody"] = lambda: check_prosody(*more)
    return tap.run(tests)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

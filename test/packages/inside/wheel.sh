#!/bin/sh
# Builds the wheel and the source distribution, and uses both.  Whoever asks an index fails.
set -eu
# shellcheck source=test/packages/inside/lib.sh
. test/packages/inside/lib.sh
export PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1

installs_what_it_needs() {
  install git python3-build
  run_sample '## Python' 2
}

# Into a virtual environment, by the lines that users read.
installs_from_source() {
  run_sample '## Python' 3
  venv/bin/python -m atfork
  rm -rf venv
}

builds() {
  git status --short >"$work/before"
  python3 -m build --no-isolation --skip-dependency-check --outdir "$work/dist" .
  git status --short | diff "$work/before" -
  ls "$work/dist"
  test -f "$work/dist/atfork-$version.tar.gz"
}

# In another directory, by a clone whose files have another date, and in another time zone.
builds_the_same_again() {
  git clone --quiet . "$work/another place"
  cd "$work/another place"
  TZ=UTC-14 python3 -m build --no-isolation --skip-dependency-check --outdir "$work/again" .
  test "$(ls "$work/dist")" = "$(ls "$work/again")"
  for file in "$work"/dist/*; do cmp "$file" "$work/again/${file##*/}"; done
}

has_the_right_tags() {
  tag=$(python3 -c 'import sys, sysconfig
print("cp{0}{1}-cp{0}{1}{2}-{3}".format(*sys.version_info[:2], sys.abiflags, sysconfig.get_platform().replace("-", "_").replace(".", "_")))')
  test -f "$work/dist/atfork-$version-$tag.whl"
}

files() {
  python3 -m zipfile -l "$1" | awk 'NR > 1 { print $1 }' | sort
}

# The modules, the extension and nothing else of the library's.
holds_the_package_alone() {
  files "$work"/dist/*.whl >"$work/files"
  grep -x atfork/py.typed "$work/files"
  grep -x atfork/_native.pyi "$work/files"
  for file in bindings/python/atfork/*.py; do grep -x "atfork/${file##*/}" "$work/files"; done
  test "$(grep -c '^atfork/_native\..*\.so$' "$work/files")" -eq 1
  grep -x "atfork-$version.dist-info/.*LICENSE" "$work/files"
  ! grep -v -E "^atfork/[a-z_]+\.(py|pyi)$|^atfork/py\.typed$|^atfork/_native\.[a-z0-9_-]+\.so$|^atfork-$version\.dist-info/" "$work/files"
}

# Into an environment that has nothing.
installs() {
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install "$work"/dist/*.whl
  test ! -e /usr/local/lib/libatfork.so.0
}

forks() {
  cd "$work"
  "$work/venv/bin/python" -c '
import atfork, os
assert atfork.__file__.startswith(os.environ["VIRTUAL"]), atfork.__file__
atfork.register_after_fork(lambda: print(atfork.lineage(), flush=True))
pid = os.fork()
if pid == 0: os._exit(0)
assert os.waitpid(pid, 0)[1] == 0' >"$work/lineage"
  test "$(cat "$work/lineage")" = 0.1
  "$work/venv/bin/python" -m atfork
}

describes_itself() {
  cd "$work"
  "$work/venv/bin/python" - "$version" "$(sed -n "s/^home = '\(.*\)'$/\1/p" "$source/meson.build")" <<'END'
import importlib.metadata, sys
version, home = sys.argv[1:]
about = importlib.metadata.metadata("atfork")
assert about["Version"] == version, about["Version"]
assert any(url.endswith(", " + home) for url in about.get_all("Project-URL")), about.get_all("Project-URL")
assert about["Requires-Python"].replace(" ", "") == ">=3.9", about["Requires-Python"]
assert "MIT" in about["License"], about["License"]
assert "Typing :: Typed" in about.get_all("Classifier")
assert (about["Description"] or about.get_payload()).startswith("# libatfork")
END
}

# shares FIRST: in a process that has the system's library too.  FIRST is loaded first.
shares_a_registry() {
  cd "$work"
  "$work/venv/bin/python" - "$1" <<'END'
import ctypes, os, sys

def system():
    return ctypes.CDLL("libatfork.so.0", use_errno=True)

library = system() if sys.argv[1] == "system" else None
import atfork
library = library or system()
maps = open("/proc/self/maps").read()
assert "/libatfork.so.0" in maps and "/atfork/_native." in maps, maps

ran = []
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
by_system = CALLBACK(lambda data: ran.append("system"))
library.atfork_register_after_fork_for.restype = ctypes.c_uint64
id_of_system = library.atfork_register_after_fork_for(by_system, None, None)
hook = atfork.register_after_fork(lambda: ran.append("wheel"))
assert [each.id for each in atfork.hooks()] == [id_of_system, hook.id], atfork.hooks()

def lineage_of_system():
    text = ctypes.create_string_buffer(64)
    library.atfork_lineage(text, ctypes.c_size_t(64))
    return text.value.decode()

pid = os.fork()
if pid == 0:
    os._exit(0 if ran == ["system", "wheel"] and atfork.lineage() == lineage_of_system() == "0.1" else 1)
assert os.waitpid(pid, 0)[1] == 0
assert library.atfork_unregister(ctypes.c_uint64(hook.id)) == 0
assert [each.id for each in atfork.hooks()] == [id_of_system]
END
}

uninstalls() {
  test -n "$(find "$work/venv" -path '*atfork*')"
  "$work/venv/bin/pip" uninstall -y atfork
  test -z "$(find "$work/venv" -path '*atfork*')"
}

# Where there is no git.
builds_from_the_sdist() {
  mkdir "$work/unpacked"
  tar -C "$work/unpacked" -xf "$work/dist/atfork-$version.tar.gz"
  cd "$work/unpacked/atfork-$version"
  grep "^Version: $version$" PKG-INFO
  pip3 wheel --no-build-isolation --no-deps --wheel-dir "$work/from-sdist" .
  files "$work"/from-sdist/*.whl | diff "$work/files" -
}

check "the packages that doc/packages.md names" installs_what_it_needs
check "pip install ., by doc/packages.md" installs_from_source
git config --global --add safe.directory '*'
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
check "a wheel and a source distribution" builds
check "the same bytes again" builds_the_same_again
check "the wheel's tags" has_the_right_tags
check "the wheel has the package and nothing else" holds_the_package_alone
check "it is installed where no libatfork is" installs
export VIRTUAL="$work/venv"
check "it is imported, and forks" forks
check "its metadata" describes_itself
install_brought
check "one registry with the system's library, which is loaded first" shares_a_registry system
check "one registry with the system's library, which is loaded later" shares_a_registry wheel
check "pip uninstall leaves nothing" uninstalls
check "a wheel from the source distribution, outside git" builds_from_the_sdist
all_checked

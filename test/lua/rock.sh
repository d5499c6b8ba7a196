#!/bin/sh
# Builds the rock into a tree of its own, against an installed library, and uses it from there, for each Lua that luarocks
# knows.  Nothing is downloaded.  Speaks the Test Anything Protocol.
#
# rock.sh SOURCE BUILD VERSION LUA...    VERSION is the project's
set -eu

source=$1
build=$2
version=$3
shift 3
. "$source/test/lib/tap.sh"
# Whoever tries to download fails.
export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 HOME="$work" XDG_CONFIG_HOME="$work"
unset LUA_PATH LUA_CPATH LD_LIBRARY_PATH

installs() {
  DESTDIR="$work/dest" meson install -C "$build" --no-rebuild
}

# One for each Lua, in the same checkout.
makes() {
  cd "$work/source"
  luarocks --lua-version "$1" --tree "$work/tree" make "bindings/lua/atfork-$version-1.rockspec" \
    ATFORK_INCDIR="$(dirname "$header")" ATFORK_LIBDIR="$(dirname "$library")"
}

runs() {
  cat >"$work/run.lua" <<'EOF'
local atfork = require "atfork"
assert(package.cpath:find(os.getenv "HOME", 1, true) == 1, package.cpath)
local ran = 0
local hook = atfork.register_after_fork(function() ran = ran + 1 end)
assert(#atfork.hooks() == 1 and atfork.hooks()[1].id == hook.id)
assert(atfork.version() == arg[1], atfork.version())
assert(hook:unregister())
EOF
  LUA_CPATH="$work/tree/lib/lua/$1/?.so" "lua$1" "$work/run.lua" "$version"
}

if ! command -v luarocks >/dev/null 2>&1; then
  echo "1..0 # SKIP luarocks is not here"
  exit
fi
check "meson install with DESTDIR" installs
header=$(find "$work/dest" -name atfork.h)
library=$(find "$work/dest" -name libatfork.so)
# In a copy, as it leaves what it builds where it is called.
mkdir -p "$work/source/bindings"
cp -r "$source/bindings/lua" "$source/bindings/atfork.i" "$work/source/bindings/"
for lua in "$@"; do
  check "luarocks make for Lua $lua" makes "$lua"
  check "the rock in Lua $lua" runs "$lua"
done
all_checked

#!/bin/sh
# Builds the rock with an installed library, into the same tree, and uses it from there, for each Lua that luarocks
# knows; neither touches what the other has installed.  Nothing is downloaded.  Speaks the Test Anything Protocol.
#
# rock.sh SOURCE BUILD VERSION LUA...    VERSION is the project's
set -eu

source=$1
build=$2
version=$3
shift 3
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"
# shellcheck source=test/lib/install.sh
. "$source/test/lib/install.sh"
# Whoever tries to download fails.
export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 HOME="$work" XDG_CONFIG_HOME="$work"
unset LUA_PATH LUA_CPATH LD_LIBRARY_PATH

installs() {
  install_to "$work/dest" "$build"
}

# One for each Lua, in the same checkout.
makes() {
  cd "$work/source"
  export PKG_CONFIG_SYSROOT_DIR="$work/dest" PKG_CONFIG_LIBDIR="$pc" ATFORK=system
  luarocks --lua-version "$1" --tree "$tree" make "bindings/lua/atfork-$version-1.rockspec"
}

# runs LUA WANTED    where to look comes in the environment; WANTED is the C module that is loaded
runs() {
  cat >"$work/run.lua" <<'EOF'
local atfork = require "atfork"
assert(package.cpath:find(os.getenv "HOME", 1, true) == 1, package.cpath)
local maps = assert(io.open "/proc/self/maps"):read "*a"
assert(maps:find(arg[2], 1, true), maps)
local ran = 0
local hook = atfork.register_after_fork(function() ran = ran + 1 end)
assert(#atfork.hooks() == 1 and atfork.hooks()[1].id == hook.id)
assert(atfork.version() == arg[1], atfork.version())
assert(hook:unregister())
assert(require "atfork.random"(6) <= 6)
EOF
  "lua$1" "$work/run.lua" "$version" "$2"
}

rock_runs() {
  export LUA_PATH="$tree/share/lua/$1/?.lua" LUA_CPATH="$tree/lib/lua/$1/?.so"
  runs "$1" "$tree/lib/lua/$1/atfork/rock.so"
}

# Without the path to the rock's part in Lua.
installed_runs() {
  place=$(dirname "$(find "$work/dest" -path "*/lua/$1/atfork.so")")
  export LUA_PATH='' LUA_CPATH="$place/?.so" LD_LIBRARY_PATH="${library%/*}"
  runs "$1" "$place/atfork-$1.so"
}

# With a copy of the library inside.
runs_in_path_with_blank() {
  cd "$work/source"
  rocks="$work/my rocks"
  ATFORK=own luarocks --lua-version "$1" --tree "$rocks" make "bindings/lua/atfork-$version-1.rockspec"
  export LUA_PATH="$rocks/share/lua/$1/?.lua" LUA_CPATH="$rocks/lib/lua/$1/?.so"
  runs "$1" "$rocks/lib/lua/$1/atfork/rock.so"
}

removes() {
  luarocks --lua-version "$1" --tree "$tree" remove atfork
  if find "$tree" -name 'rock.so' | grep "/$1/"; then return 1; fi
}

for tool in luarocks make; do
  if ! command -v "$tool" >/dev/null 2>&1; then
    echo "1..0 # SKIP $tool is not here"
    exit
  fi
done
check "meson install with DESTDIR" installs
header=$(find "$work/dest" -name atfork.h)
library=$(find "$work/dest" -name libatfork.so)
pc=$(dirname "$(find "$work/dest" -name atfork.pc)")
tree=$(dirname "$(dirname "$header")")
# In a copy, as it leaves what it builds where it is called.
mkdir -p "$work/source/bindings"
cp -r "$source/bindings/lua" "$source/bindings/common" "$source/bindings/atfork.i" "$work/source/bindings/"
cp -r "$source/lib" "$source/script" "$source/meson.build" "$source/LICENSE" "$work/source/"
for lua in "$@"; do
  check "luarocks make for Lua $lua" makes "$lua"
  check "the rock in Lua $lua" rock_runs "$lua"
  check "the same in a path with a blank" runs_in_path_with_blank "$lua"
done
check "meson install beside the rocks" installs
for lua in "$@"; do
  check "the rock in Lua $lua, with what is installed beside it" rock_runs "$lua"
  check "luarocks remove for Lua $lua" removes "$lua"
  check "what is installed, in Lua $lua" installed_runs "$lua"
done
all_checked

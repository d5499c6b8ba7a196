#!/bin/sh
# Installs the source rock where neither libatfork nor SWIG is, and where libatfork is.  Nothing is downloaded but
# Debian's packages.
set -eu
# shellcheck source=test/packages/inside/lib.sh
. test/packages/inside/lib.sh
rock=/root/brought/atfork-$version-1.src.rock

installs_what_it_needs() {
  install pkg-config lua5.1 lua5.2 lua5.3 lua5.4 luajit liblua5.1-0-dev liblua5.2-dev liblua5.3-dev liblua5.4-dev libluajit-5.1-dev
  run_sample '## Lua'
  if command -v swig || pkg-config --exists atfork; then return 1; fi
}

# Whoever tries to download fails.
offline() {
  http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 "$@"
}

# rocks LUA ARGUMENT...: where this Lua looks.  Newer ones of Debian's luarocks know no such place for Lua 5.2.
rocks() {
  version_of_lua=$1
  shift
  offline luarocks --lua-version "$version_of_lua" --tree /usr/local "$@"
}

installs() {
  rocks "$1" install "$rock"
}

# LuaJIT loads modules of Lua 5.1.
abi() {
  if [ "$1" = jit ]; then echo 5.1; else echo "$1"; fi
}

# Lua has no fork() of its own.
make_fork() {
  printf '%s\n' '#include <sys/wait.h>' '#include <unistd.h>' 'int luaopen_fork(void *state) {' \
    '(void)state; pid_t pid = fork(); if (pid > 0) waitpid(pid, 0, 0); return 0; }' >"$work/fork.c"
  cc -shared -fPIC "$work/fork.c" -o "$work/fork.so"
}

# With no variable of the environment to help it.
forks() {
  "lua$1" -e '
    local atfork = require "atfork"
    assert(atfork.version() == "'"$version"'", atfork.version())
    assert(require "atfork.random"(6) <= 6)
    atfork.register_after_fork(function() print(atfork.lineage()) end)
    package.loadlib("'"$work"'/fork.so", "luaopen_fork")()' >"$work/lineage"
  test "$(cat "$work/lineage")" = 0.1
}

# links_with_system LUA TREE
links_with_system() {
  ldd "$2/lib/lua/$(abi "$1")/atfork/rock.so" >"$work/linked" || exit 1
  grep libatfork.so.0 "$work/linked"
}

is_self_contained() {
  ! links_with_system "$1" /usr/local
}

installed() {
  find "/usr/local/lib/lua/$1" "/usr/local/share/lua/$1" -path '*atfork*'
}

removes() {
  test -n "$(installed "$1")"
  rocks "$1" remove atfork
  test -z "$(installed "$1")"
}

insists_in_vain() {
  if ATFORK=system offline luarocks --lua-version 5.4 --tree "$work/refused" install "$rock" >"$work/refusal" 2>&1; then
    return 1
  fi
  grep -F "pkg-config finds no libatfork $version" "$work/refusal"
}

uses_the_system() {
  installs "$1"
  links_with_system "$1" /usr/local
  forks "$1"
}

uses_the_copy_when_told() {
  ATFORK=own offline luarocks --lua-version 5.4 --tree "$work/own" install "$rock"
  ! links_with_system 5.4 "$work/own"
}

uses_the_copy_beside_an_older() {
  pc=$(find /usr/local -name atfork.pc)
  cp "$pc" "$work/atfork.pc"
  sed -i "s/^Version:.*/Version: 0.0.9/" "$pc"
  offline luarocks --lua-version 5.4 --tree "$work/beside" install "$rock"
  cp "$work/atfork.pc" "$pc"
  ! links_with_system 5.4 "$work/beside"
}

check "the packages that doc/packages.md names" installs_what_it_needs
make_fork
for lua in 5.1 5.2 5.3 5.4; do
  check "luarocks install for Lua $lua, without libatfork" installs $lua
done
for lua in 5.1 5.2 5.3 5.4 jit; do
  check "the rock in Lua $lua needs no libatfork" is_self_contained $lua
  check "the rock in Lua $lua forks" forks $lua
done
for lua in 5.1 5.2 5.3 5.4; do
  check "luarocks remove for Lua $lua leaves nothing" removes $lua
done
check "ATFORK=system names what is missing" insists_in_vain
cp -a /root/brought/library/. /
ldconfig
for lua in 5.1 5.4; do
  check "the rock for Lua $lua takes an installed libatfork" uses_the_system $lua
done
check "but not with ATFORK=own" uses_the_copy_when_told
check "nor one that is older" uses_the_copy_beside_an_older
all_checked

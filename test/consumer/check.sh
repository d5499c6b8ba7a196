#!/bin/sh
# Uses the library as others do: installed, through pkg-config, shared and static; and as a wrap subproject.
# Speaks the Test Anything Protocol.
#
# check.sh SOURCE BUILD CC
set -eu

source=$1
build=$2
cc=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# check NAME COMMAND...
check() {
  name=$1
  shift
  number=$((number + 1))
  if (set -e; "$@") >"$work/log" 2>&1; then
    echo "ok $number - $name"
  else
    echo "not ok $number - $name"
    sed 's/^/# /' "$work/log"
    failed=1
  fi
}

config() {
  PKG_CONFIG_SYSROOT_DIR="$work/dest" PKG_CONFIG_LIBDIR="$pc" pkg-config "$@" atfork
}

installs() {
  DESTDIR="$work/dest" meson install -C "$build" --no-rebuild
}

finds_files() {
  test -n "$pc"
  test -f "$root/include/atfork.h"
  test "$(config --modversion)" = "$version"
  test -n "$(config --cflags --libs)"
}

links_shared() {
  # shellcheck disable=SC2046 # words are wanted
  $cc -std=c11 -Wall -Wextra -Werror "$source/test/consumer/consumer.c" -o "$work/shared" $(config --cflags --libs)
  LD_LIBRARY_PATH="$libdir" "$work/shared"
  LD_LIBRARY_PATH="$libdir" ldd "$work/shared" | grep -q libatfork
}

links_static() {
  # shellcheck disable=SC2046
  $cc -static -std=c11 "$source/test/consumer/consumer.c" -o "$work/static" $(config --static --cflags --libs)
  "$work/static"
  ! ldd "$work/static" 2>/dev/null | grep -q libatfork
}

header_alone() {
  # shellcheck disable=SC2046
  $cc -std=c99 -pedantic -Wall -Wextra -Werror "$source/test/core/header.c" -o "$work/c99" $(config --cflags --libs)
  LD_LIBRARY_PATH="$libdir" "$work/c99"
  # shellcheck disable=SC2046
  c++ -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror "$source/test/core/header.c" -o "$work/cxx" $(config --cflags --libs)
  LD_LIBRARY_PATH="$libdir" "$work/cxx"
}

exports_only_atfork() {
  nm -D --defined-only "$libdir/libatfork.so" >"$work/symbols"
  grep -q ' T atfork_register$' "$work/symbols"
  ! awk '{ print $NF }' "$work/symbols" | grep -v '^atfork_'
}

runs_lua() {
  for module in "$libdir"/lua/*/atfork.so; do
    test -f "$module" || continue
    lua=lua$(basename "$(dirname "$module")")
    LD_LIBRARY_PATH="$libdir" LUA_CPATH="$(dirname "$module")/?.so" "$lua" -e 'print(require "atfork".version())'
  done
}

runs_ruby() {
  rb=$(find "$work/dest" -name atfork.rb)
  native=$(find "$work/dest" -name native.so)
  test -n "$rb" || return 0
  LD_LIBRARY_PATH="$libdir" ruby -I "$(dirname "$rb")" -I "$(dirname "$(dirname "$native")")" -r atfork -e 'puts AtFork::VERSION'
}

runs_python() {
  package=$(find "$work/dest" -type d -name atfork -path '*python*')
  test -n "$package" || return 0
  test -f "$package/py.typed"
  site=$(dirname "$package")
  # Where the interpreter that it is built for would look.
  /usr/bin/python3 -c 'import sys; sys.exit(sys.argv[1] not in sys.path)' "${site#"$work/dest"}"
  PYTHONPATH="$site" LD_LIBRARY_PATH="$libdir" /usr/bin/python3 -m atfork
}

as_subproject() {
  cp -r "$source/test/consumer" "$work/consumer"
  mkdir -p "$work/consumer/subprojects/atfork"
  (cd "$source" && tar -cf - meson.build meson_options.txt lib) | tar -xf - -C "$work/consumer/subprojects/atfork"
  printf '[wrap-file]\ndirectory = atfork\n\n[provide]\natfork = atfork_dep\n' >"$work/consumer/subprojects/atfork.wrap"
  CC=$cc meson setup "$work/consumer/build" "$work/consumer" --force-fallback-for=atfork
  meson test -C "$work/consumer/build" --print-errorlogs
  test -z "$(find "$work/consumer/build" -name 'test-*')"
}

version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" "$source/meson.build" | head -n 1)
check "meson install with DESTDIR" installs
pc=$(dirname "$(find "$work/dest" -name atfork.pc)")
libdir=$(dirname "$pc")
root=$(find "$work/dest" -name atfork.h)
root=${root%/include/atfork.h}
check "pkg-config finds version $version" finds_files
check "a program linked with pkg-config --cflags --libs" links_shared
check "a program linked with pkg-config --static" links_static
check "the header as C99 and C++11, pedantic" header_alone
check "exports atfork_* and nothing else" exports_only_atfork
check "the installed Lua modules load" runs_lua
check "the installed Ruby module loads" runs_ruby
check "the installed Python package loads" runs_python
check "dependency('atfork') as a wrap subproject" as_subproject
echo "1..$number"
exit "$failed"

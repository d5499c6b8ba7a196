#!/bin/sh
# Uses the library as others do: installed, through pkg-config, shared and static; and as a wrap subproject.
# Speaks the Test Anything Protocol.
#
# check.sh SOURCE BUILD CC
set -eu

source=$1
build=$2
cc=$3
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"
# shellcheck source=test/lib/install.sh
. "$source/test/lib/install.sh"

config() {
  PKG_CONFIG_SYSROOT_DIR="$work/dest" PKG_CONFIG_LIBDIR="$pc" pkg-config "$@" atfork
}

# Other tests install meanwhile.
last_install() {
  flock "$build/meson-logs/install.lock" cat "$build/meson-logs/install-log.txt" || echo none
}

installs() {
  last_install >"$work/before"
  install_to "$work/dest" "$build"
  last_install | cmp - "$work/before"
}

finds_files() {
  test -n "$pc"
  test -f "$root/include/atfork.h"
  test "$(config --modversion)" = "$version"
  test -n "$(config --cflags --libs)"
  # pkg-config puts the sysroot before flags alone, and pkgconf before paths, too.
  suppressions=$(config --variable=suppressions)
  test -f "$work/dest/${suppressions#"$work/dest"}"
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

# Wherever it was installed; nothing where the tools are not built.
watches_from_there() {
  test -x "$root/bin/atfork" || return 0
  "$root/bin/atfork" doctor --json -- sh -c '(exit 0); true' >"$work/report"
  grep -q '"processes": 2' "$work/report"
}

# The library that it loads finds libatfork where both were installed.
adopts_from_there() {
  test -x "$root/bin/atfork" || return 0
  env -u LD_LIBRARY_PATH "$root/bin/atfork" run --adopt -- cat /proc/self/maps >"$work/maps" 2>"$work/errors"
  grep -q " $libdir/atfork/libatfork-adopt.so" "$work/maps"
  grep -q " $libdir/libatfork.so" "$work/maps"
  test ! -s "$work/errors"
}

header_alone() {
  # shellcheck disable=SC2046
  $cc -std=c99 -pedantic -Wall -Wextra -Werror "$source/test/core/header.c" -o "$work/c99" $(config --cflags --libs)
  LD_LIBRARY_PATH="$libdir" "$work/c99"
  for options in -std=c++11 -std=c++20 '-std=c++20 -O2 -flto'; do
    # shellcheck disable=SC2046,SC2086 # words are wanted
    c++ -x c++ $options -pedantic -Wall -Wextra -Wno-missing-field-initializers -Werror \
      "$source/test/core/header.c" -o "$work/cxx" $(config --cflags --libs)
    LD_LIBRARY_PATH="$libdir" "$work/cxx"
  done
}

exports_only_atfork() {
  # The version node is a symbol of its own, of type A.
  nm -D --defined-only --without-symbol-versions "$libdir/libatfork.so" | grep -v ' A ' >"$work/symbols"
  grep -q ' T atfork_register$' "$work/symbols"
  nm --defined-only --extern-only "$libdir/libatfork.a" | sed -n 's/.* [A-Z] //p' >>"$work/symbols"
  # What the notes of probes are relative to is in all objects that have some, and shared.
  ! awk '{ print $NF }' "$work/symbols" | grep -v -e '^atfork_' -e '^_\.stapsdt\.base$'
}

# looks INTERPRETER OPTION CODE DIRECTORY: whether DIRECTORY is among the lines that CODE prints, where the prefix is one of those
# that interpreters of the distribution look below.
looks() {
  case $root in
    "$work/dest/usr" | "$work/dest/usr/local") "$1" "$2" "$3" | grep -qxF "${4#"$work/dest"}" ;;
  esac
}

runs_lua() {
  find "$work/dest" -path '*/lua/*/atfork.so' >"$work/modules"
  while read -r module; do
    abi=$(basename "$(dirname "$module")")
    for lua in "lua$abi" $([ "$abi" != 5.1 ] || command -v luajit); do
      looks "$lua" -e 'print((package.cpath:gsub(";", "\n")))' "$(dirname "$module")/?.so"
      LD_LIBRARY_PATH="$libdir" LUA_CPATH="$(dirname "$module")/?.so" "$lua" -e 'print(require "atfork".version())'
    done
  done <"$work/modules"
}

runs_ruby() {
  rb=$(find "$work/dest" -name atfork.rb)
  native=$(find "$work/dest" -name native.so)
  test -n "$rb" || return 0
  rb=$(dirname "$rb")
  native=$(dirname "$(dirname "$native")")
  looks ruby -e 'puts $:' "$rb"
  looks ruby -e 'puts $:' "$native"
  LD_LIBRARY_PATH="$libdir" ruby -I "$rb" -I "$native" -r atfork -e 'puts AtFork::VERSION'
}

runs_python() {
  package=$(find "$work/dest" -type d -name atfork -path '*python*')
  test -n "$package" || return 0
  test -f "$package/py.typed"
  site=$(dirname "$package")
  looks /usr/bin/python3 -c 'import sys; print(*sys.path, sep="\n")' "$site"
  PYTHONPATH="$site" LD_LIBRARY_PATH="$libdir" /usr/bin/python3 -m atfork
}

# Each language with what was built for it, and nothing that is installed.
in_devenv() {
  for version in 5.1 5.2 5.3 5.4; do
    test ! -e "$build/bindings/lua/atfork-$version.so" || devenv "lua$version" -e 'print(require "atfork".version())'
  done
  test ! -e "$build/bindings/lua/atfork-jit.so" || devenv luajit -e 'print(require "atfork".version())'
  test ! -e "$build/bindings/ruby/atfork.rb" || devenv ruby -r atfork -e 'puts AtFork::VERSION'
  test ! -e "$build/bindings/python/atfork/__init__.py" || devenv /usr/bin/python3 -m atfork
}

devenv() {
  env -u LUA_CPATH -u RUBYLIB -u PYTHONPATH -u LD_LIBRARY_PATH meson devenv -C "$build" "$@"
}

as_subproject() {
  cp -r "$source/test/consumer" "$work/consumer"
  mkdir -p "$work/consumer/subprojects/atfork"
  (cd "$source" && tar -cf - meson.build meson_options.txt lib) | tar -xf - -C "$work/consumer/subprojects/atfork"
  # shellcheck disable=SC2016 # of Markdown
  sed -n '/^```ini$/,/^```$/{/^```/!p}' "$source/doc/guide/library.md" >"$work/consumer/subprojects/atfork.wrap"
  CC=$cc meson setup "$work/consumer/build" "$work/consumer" --force-fallback-for=atfork
  meson test -C "$work/consumer/build" --print-errorlogs
  test -z "$(find "$work/consumer/build" -name 'test-*')"
}

# A warning that a new compiler finds in the library is no error to whoever builds it along.
as_subproject_with_a_warning() {
  cp -r "$work/consumer" "$work/warned"
  rm -rf "$work/warned/build"
  sed -i "s/, 'werror=true'//" "$work/warned/meson.build"
  echo '#warning "a new one"' >>"$work/warned/subprojects/atfork/lib/state.c"
  CC=$cc meson setup "$work/warned/build" "$work/warned" --force-fallback-for=atfork
  ninja -C "$work/warned/build"
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
check "the header as C99, C++11 and C++20, pedantic" header_alone
check "exports atfork_* and nothing else" exports_only_atfork
check "the installed command watches" watches_from_there
check "the installed command adopts" adopts_from_there
check "the installed Lua modules load" runs_lua
check "the installed Ruby module loads" runs_ruby
check "the installed Python package loads" runs_python
check "meson devenv finds the bindings" in_devenv
check "dependency('atfork') as a wrap subproject" as_subproject
check "dependency('atfork') with a warning in the library" as_subproject_with_a_warning
all_checked

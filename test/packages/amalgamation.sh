#!/bin/sh
# The library as one C file: compiled by each compiler, linked into programs, and under the core's tests.
# Speaks the Test Anything Protocol.
#
# amalgamation.sh SOURCE
set -eu

source=$1
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"
# shellcheck source=test/packages/samples.sh
. "$source/test/packages/samples.sh"

warnings='-std=c11 -Werror -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wundef -Wwrite-strings'

# The same bytes, whoever calls it from where.
writes_the_same_again() {
  mkdir "$work/again"
  (cd "$work/again" && umask 077 && LC_ALL=C.UTF-8 "$source/script/amalgamate")
  cmp "$work/one/atfork.c" "$work/again/atfork.c"
  cmp "$source/lib/atfork.h" "$work/again/atfork.h"
  test "$(ls "$work/again")" = "$(printf 'atfork.c\natfork.h')"
}

says_what_it_is() {
  head -n 30 "$work/one/atfork.c" >"$work/head"
  grep "libatfork $version" "$work/head"
  sed 's/^/ * /; s/ *$//' "$source/LICENSE" | while read -r line; do grep -qxF " $line" "$work/head"; done
}

# A tree of its own, with a user's program in it.
make_tree() {
  mkdir "$1"
  cp -r "$source/lib" "$source/script" "$source/meson.build" "$source/LICENSE" "$1"
  cp "$source/test/consumer/consumer.c" "$1/program.c"
}

# The lines that users read.
runs_by_the_document() {
  make_tree "$work/documented"
  sample '## One C file' >"$work/sample"
  grep -F 'script/amalgamate' "$work/sample"
  cd "$work/documented"
  sh -eux "$work/sample"
  ./program
}

# A file for a system that it has not heard of is not simply left out, nor compiled everywhere.
refuses_an_unknown_system() {
  make_tree "$work/unknown"
  echo >"$work/unknown/lib/os_plan9.c"
  if "$work/unknown/script/amalgamate" "$work/unknown" 2>"$work/errors"; then return 1; fi
  grep -F 'lib/os_plan9.c' "$work/errors"
  test ! -e "$work/unknown/atfork.c"
}

# compiles COMPILER OPTIONS...
compiles() {
  # shellcheck disable=SC2086 # words are wanted
  "$@" $warnings -c "$work/one/atfork.c" -o "$work/atfork.o"
  test -s "$work/atfork.o"
}

# runs COMPILER OPTIONS...: as doc/packages.md says, in a directory that has the two files.
runs() {
  cd "$work/one"
  "$@" -std=c11 -I. "$source/test/consumer/consumer.c" atfork.c -pthread -o "$work/program"
  "$work/program"
}

# Nothing forks there.
links_for_windows() {
  cd "$work/one"
  printf '%s\n' '#include <atfork.h>' 'int main(void) { return (int)atfork_generation(); }' >"$work/program.c"
  x86_64-w64-mingw32-gcc -std=c11 -I. "$work/program.c" atfork.c -lsynchronization -o "$work/program.exe"
  test -s "$work/program.exe"
}

# What a library that embeds it exports is the library's own.
exports_nothing() {
  cd "$work/one"
  printf '%s\n' '#include <atfork.h>' 'int plugin(void) { return (int)atfork_generation(); }' >"$work/plugin.c"
  gcc -std=c11 -shared -fPIC -I. "$work/plugin.c" atfork.c -pthread -o "$work/plugin.so"
  nm -D --defined-only "$work/plugin.so" >"$work/symbols"
  grep ' T plugin$' "$work/symbols"
  ! grep atfork_ "$work/symbols"
}

exports_when_asked() {
  cd "$work/one"
  gcc -std=c11 -shared -fPIC '-DATFORK_API=__attribute__((visibility("default")))' atfork.c -pthread -o "$work/export.so"
  nm -D --defined-only "$work/export.so" | sed 's/.* //' | sort >"$work/exported"
  sed -n 's/^ *\(atfork_[a-z_]*\);.*/\1/p' "$source/lib/atfork.map" | sort >"$work/map"
  test -s "$work/map"
  diff "$work/map" "$work/exported"
}

# Promise by promise: on the shared library, and on what looks inside it.
tests='order pairing unregister once bypass adopted token threads copies copies_unload copies_odd unload begun waiting'
passes() {
  CC=gcc meson setup "$work/build" "$source" -Damalgamation=true -Dtests=enabled -Dwerror=true \
    -Dlua= -Druby=disabled -Dpython= -Dexamples=false -Dtools=disabled -Dman=false -Ddocs=disabled
  ninja -C "$work/build" -t targets all >"$work/targets"
  # shellcheck disable=SC2086,SC2046 # words are wanted
  ninja -C "$work/build" $(sed -n 's/: .*//p' "$work/targets" | grep -xE "test/core/(test-($(echo $tests | tr ' ' '|'))(-program)?|lib(plugin|calling|copy-.*|plain|pair)\.so|worker|static-worker|exiting|staying)")
  # shellcheck disable=SC2086
  meson test -C "$work/build" --no-rebuild --print-errorlogs -t "${ATFORK_TEST_SLOWNESS:-1}" $tests
}

# check_by COMPILER NAME COMMAND...: where there is that compiler.
check_by() {
  compiler=$1
  shift
  if command -v "$compiler" >/dev/null; then check "$@"; else skip "$1" "there is no $compiler"; fi
}

version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" "$source/meson.build" | head -n 1)
mkdir "$work/one"
check "script/amalgamate" "$source/script/amalgamate" "$work/one"
check "a program with it, by doc/packages.md" runs_by_the_document
check "it writes the same again" writes_the_same_again
check "it says what it is" says_what_it_is
check "it refuses a file for a system that it does not know" refuses_an_unknown_system
for compiler in gcc clang musl-gcc i686-linux-gnu-gcc aarch64-linux-gnu-gcc arm-linux-gnueabihf-gcc \
  riscv64-linux-gnu-gcc s390x-linux-gnu-gcc x86_64-w64-mingw32-gcc; do
  for options in -O2 '-O0 -D_GNU_SOURCE -fPIC -DATFORK_PROBES'; do
    # Where there is no <sys/sdt.h> there are no probes.
    case $compiler in gcc | clang) ;; *) options=${options% -DATFORK_PROBES} ;; esac
    # shellcheck disable=SC2086
    check_by "$compiler" "$compiler $options, without a warning" compiles "$compiler" $options
  done
done
for command in gcc clang 'gcc -O2 -flto -static' 'musl-gcc -static' 'i686-linux-gnu-gcc -static' 'gcc -fsanitize=address,undefined'; do
  # shellcheck disable=SC2086
  check_by "${command%% *}" "a program with it: $command" runs $command
done
check_by x86_64-w64-mingw32-gcc "a program for Windows with it" links_for_windows
check "a shared library with it exports none of it" exports_nothing
check "and all of it where that is asked for" exports_when_asked
check "the core's tests with it" passes
all_checked

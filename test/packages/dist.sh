#!/bin/sh
# The archive that `meson dist` makes: it has what it needs and no more, and passes its own tests.  Speaks the Test
# Anything Protocol.
#
# dist.sh SOURCE BUILD VERSION
set -eu

source=$1
version=$3
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

# Of a clean clone, whatever lies about in this tree.  The core alone, as compiling takes most of the time.
configures() {
  git -c safe.directory='*' clone --quiet "$source" "$work/clone"
  CC=gcc meson setup "$work/build" "$work/clone" -Dtests=enabled -Dlua= -Druby=disabled -Dpython= -Dexamples=false \
    -Dtools=disabled -Ddocs=disabled
}

# Which builds what it has packed, runs the tests there, and installs it.
passes_its_tests() {
  meson dist -C "$work/build" >"$work/dist.log" 2>&1 || { grep -v '^\[' "$work/dist.log" | tail -n 200; return 1; }
  grep "^Distribution package .*/atfork-$version.tar.xz tested$" "$work/dist.log"
}

# Meson calls a test "core / order", or newer Meson "core - atfork:order".
ran_the_quick_tests() {
  grep -E '( / |:)order +OK ' "$work/dist.log"
  grep -E '( / |:)versions +OK ' "$work/dist.log"
  if grep -E '( / |:)matrix ' "$work/dist.log"; then return 1; fi
  grep '^Ok: ' "$work/dist.log"
}

# What git has, but for what is a forge's.
has_the_files_of_the_commit() {
  tar -tf "$work/build/meson-dist/atfork-$version.tar.xz" | sed -n 's,^atfork-[^/]*/\(.*[^/]\)$,\1,p' | sort >"$work/packed"
  git -C "$work/clone" ls-files | grep -v '^\.github/' | sort >"$work/known"
  diff "$work/known" "$work/packed"
  for file in LICENSE README.md NEWS.md meson.build lib/atfork.h pyproject.toml; do grep -qx "$file" "$work/packed"; done
}

# Whoever unpacks it may give it to others.
has_no_odd_modes() {
  ! tar -tvf "$work/build/meson-dist/atfork-$version.tar.xz" | grep -v -E '^(d.{6}r-x|-.{6}r-x|-.{6}r--|l.{9}) '
}

if ! git -c safe.directory='*' -C "$source" rev-parse --quiet --verify HEAD >/dev/null 2>&1; then
  echo "1..0 # SKIP meson dist packs a commit, and this is no repository"
  exit
fi
check "a clean clone is configured" configures
check "meson dist builds, tests and installs its archive" passes_its_tests
check "with the quick tests" ran_the_quick_tests
check "the archive has the files of the commit" has_the_files_of_the_commit
check "which all may read, and not write" has_no_odd_modes
all_checked

#!/bin/sh
# Debian's packages: built from the last commit, read by lintian, and installed, used, upgraded and purged in a clean root.
# Speaks the Test Anything Protocol.
#
# debian.sh SOURCE
set -eu

source=$1
# shellcheck source=test/packages/root.sh
. "$source/test/packages/root.sh"
can_enter_root
needs dh lintian py3versions
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

# build DIRECTORY OPTIONS [VARIABLE=VALUE...]: the source package and the binary packages, in DIRECTORY.
build() {
  mkdir "$1"
  git -c safe.directory='*' clone --quiet "$source" "$1/tree"
  (
    cd "$1/tree"
    debian/rules orig
    options=$2
    shift 2
    env DEB_BUILD_OPTIONS="parallel=$(nproc) $options" "$@" dpkg-buildpackage --no-sign
  )
}

builds() {
  build "$work/first" '' >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log"; return 1; }
}

ran_tests_of_the_core() {
  grep -E '^Ok: +[1-9][0-9]+ *$' "$work/build.log"
  grep -E '^Fail: +0 *$' "$work/build.log"
}

# Since Debian 13 the C library itself has diversions.
has_no_warning_of_dpkg() {
  ! grep -E '^dpkg-[a-z]+: warning' "$work/build.log" | grep -v ' diversions involved '
}

lintian_is_content() {
  lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$work"/first/*.changes
}

# The list that packages take their dependencies from, and the linker's list.  That the library has the same symbols is
# checked by dh_makeshlibs when the package is built.
symbols_are_the_map_s() {
  awk '/{$/ { node = $1; print node "@" node } sub(/^  atfork_/, "atfork_") && sub(/;$/, "") { print $0 "@" node }' \
    "$source/lib/atfork.map" | sort >"$work/map"
  sed -n 's/^ \([^ ]*@[^ ]*\) .*/\1/p' "$source/debian/libatfork0.symbols" | sort >"$work/listed"
  test "$(wc -l <"$work/map")" -gt 20
  diff "$work/map" "$work/listed"
}

# In another place, later, by other settings, and without the tests.  dpkg keeps only paths of plain characters out.
builds_the_same_again() {
  build "$work/second" nocheck TZ=UTC-14 LC_ALL=C >"$work/again.log" 2>&1 || { tail -n 50 "$work/again.log"; return 1; }
  if grep '^Ok: ' "$work/again.log"; then return 1; fi
  for package in "$work"/first/*.deb; do
    cmp "$package" "$work/second/${package##*/}"
  done
}

# Results of a script in the clean root, as if they were of this one.
report() {
  grep -E '^(not )?ok ' "$1" >"$work/results" || echo 'not ok 0 - the clean root' >"$work/results"
  while read -r line; do
    number=$((number + 1))
    case $line in not*) failed=1 ;; esac
    echo "$line" | sed "s/ok [0-9]*/ok $number/"
  done <"$work/results"
}

in_a_clean_root() {
  mkdir "$work/packages"
  find "$work/first" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' -exec cp -t "$work/packages" {} +
  status=0
  enter_root debian "$work/packages" >"$work/inside" || status=$?
  report "$work/inside"
  if [ "$status" -ne 0 ]; then
    failed=1
    sed 's/^/# /' "$work/inside" >&2
  fi
}

check "debian/libatfork0.symbols has the symbols of lib/atfork.map" symbols_are_the_map_s
check "debian/rules orig and dpkg-buildpackage" builds
[ -e "$work/first/tree/debian/files" ] || all_checked
check "the core's tests ran in the build" ran_tests_of_the_core
check "no warning of dpkg" has_no_warning_of_dpkg
check "lintian has no error and no warning" lintian_is_content
check "a build elsewhere gives the same packages" builds_the_same_again
in_a_clean_root
all_checked

#!/bin/sh
# Packed again, by another person, elsewhere and later, each package has the same bytes, and the date of the last commit.
# test/packages/debian.sh and inside/wheel.sh do so for Debian's packages and for Python's.  Speaks the Test Anything
# Protocol.
#
# again.sh SOURCE BUILD VERSION
set -eu

source=$1
version=$3
# shellcheck source=test/packages/root.sh
. "$source/test/packages/root.sh"
needs gem git swig zip
git -c safe.directory='*' -C "$source" rev-parse --quiet --verify HEAD >/dev/null 2>&1 ||
  skip_all "the date is a commit's, and this is no repository"
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"
unset SOURCE_DATE_EPOCH

# pack CLONE DIRECTORY: all that is packed without a root of its own.
pack() {
  mkdir "$2"
  (
    cd "$1"
    for script in amalgamate gem rock; do "script/$script" "$2"; done
    meson setup build -Dtests=disabled -Dlua= -Druby=disabled -Dpython= -Dtools=disabled -Dexamples=false -Ddocs=disabled
    meson dist -C build --no-tests
    cp build/meson-dist/*.tar.xz "$2"
  )
}

packs() {
  git -c safe.directory='*' clone --quiet "$source" "$work/clone"
  pack "$work/clone" "$work/first"
}

# The files of this clone are of 2001, as is each that was unpacked by hand, or copied.
packs_again() {
  umask 077
  export TZ=UTC-14 LC_ALL=C LANG=C
  git -c safe.directory='*' clone --quiet "$source" "$work/another clone"
  find "$work/another clone" -path '*/.git' -prune -o -exec touch -h -d 2001-01-01 {} +
  git -C "$work/another clone" update-index --refresh
  pack "$work/another clone" "$work/second"
}

is_the_same() {
  cmp "$work/first/$1" "$work/second/$1"
}

# Of all that is in a tar file, in seconds since 1970.
dates_in() {
  python3 -c 'import sys, tarfile
print(*sorted({int(member.mtime) for member in tarfile.open(fileobj=sys.stdin.buffer, mode="r|*")}))'
}

is_of_the_commit() {
  test "$(dates_in)" = "$(git -C "$work/clone" log -1 --format=%ct)"
}

gem_is_of_the_commit() {
  tar -xOf "$work/first/atfork-$version.gem" data.tar.gz | is_of_the_commit
}

rock_is_of_the_commit() {
  python3 -m zipfile -e "$work/first/atfork-$version-1.src.rock" "$work/rock"
  is_of_the_commit <"$work/rock/atfork-lua-$version.tar.gz"
}

check "each is packed" packs
check "and packed again" packs_again
for file in "atfork.c" "atfork-$version.gem" "atfork-$version-1.src.rock" "atfork-$version.tar.xz"; do
  check "the same bytes: $file" is_the_same "$file"
done
check "the gem has the date of the commit" gem_is_of_the_commit
check "the rock has the date of the commit" rock_is_of_the_commit
all_checked

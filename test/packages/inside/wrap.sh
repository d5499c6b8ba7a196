#!/bin/sh
# A project of Meson's takes the library from the archive that its wrap names, and an installed one where there is one.
set -eu
# shellcheck source=test/packages/inside/lib.sh
. test/packages/inside/lib.sh
archive=/root/brought/atfork-$version.tar.xz

# Without git, SWIG, GLib or an interpreter's headers.
installs_what_it_needs() {
  install gcc libc6-dev meson pkg-config
  if command -v git || command -v swig; then return 1; fi
}

# What users read, around the program that every consumer has.
makes_the_project() {
  mkdir -p "$work/project/subprojects/packagecache"
  cp test/consumer/consumer.c "$work/project/program.c"
  cd "$work/project"
  sample '## Meson wrap' 1 meson >meson.build
  sample '## Meson wrap' 1 ini >subprojects/atfork.wrap
  hash=$(sha256sum "$archive")
  sed -i "s/SHA256-OF-THE-ARCHIVE/${hash%% *}/" subprojects/atfork.wrap
  cp "$archive" subprojects/packagecache
  grep "^source_filename = ${archive##*/}$" subprojects/atfork.wrap
}

builds_it_along() {
  cd "$work/project"
  meson setup build
  meson compile -C build
  ./build/program
  ldd build/program | grep -F "$work/project/build/subprojects/atfork-$version/lib/libatfork.so.0"
}

# No binding, test or command.
builds_the_library_alone() {
  test -z "$(find "$work/project/build/subprojects" -type f -perm -1 ! -name 'libatfork.so*')"
}

# A project that wants everything in one program.
links_it_statically() {
  cd "$work/project"
  meson setup build-static -Datfork:default_library=static
  meson compile -C build-static
  ./build-static/program
  ! ldd build-static/program | grep libatfork
}

refuses_another_archive() {
  cp -r "$work/project" "$work/forged"
  cd "$work/forged"
  rm -rf build build-static "subprojects/atfork-$version"
  echo >>"subprojects/packagecache/${archive##*/}"
  if meson setup build >"$work/out" 2>&1; then return 1; fi
  grep -i hash "$work/out"
}

takes_an_installed_one() {
  cd "$work/project"
  meson setup build-installed
  meson compile -C build-installed
  ./build-installed/program
  ldd build-installed/program | grep "/usr/local/lib.*/libatfork.so.0"
}

is_found_by_pkg_config() {
  cd "$work/project"
  run_sample '## pkg-config'
  ./program
  ./program-static
}

check "Meson and a compiler" installs_what_it_needs
check "the project of doc/packages.md" makes_the_project
check "the library is built along" builds_it_along
check "and nothing else" builds_the_library_alone
check "statically" links_it_statically
check "an archive with another hash is refused" refuses_another_archive
cp -a /root/brought/library/. /
ldconfig
check "an installed library is taken instead" takes_an_installed_one
check "pkg-config finds that, shared and static" is_found_by_pkg_config
all_checked

#!/bin/sh
# Debian's packages for arm64, built on amd64 by the lines of doc/packages.md.
set -eu
# shellcheck source=test/packages/inside/lib.sh
. test/packages/inside/lib.sh

# Not every mirror has them.
finds_packages_for_arm64() {
  dpkg --add-architecture arm64
  apt-get update -q && apt-cache show libc6-dev:arm64
}
if ! finds_packages_for_arm64 >"$work/log" 2>&1; then
  cat "$work/log" >&2
  echo "1..0 # SKIP the mirror of Debian has no packages for arm64"
  exit
fi

# Beside this tree.
builds() {
  DEB_BUILD_OPTIONS="parallel=$(nproc)"
  export DEB_BUILD_OPTIONS
  run_sample '## Debian' 2
}

# All but Ruby's, and the documentation, which is for every processor.
has_the_packages() {
  for file in ../*.deb; do
    echo "$(dpkg-deb --field "$file" Package) $(dpkg-deb --field "$file" Architecture)"
  done | grep -v -e '-dbgsym ' >"$work/built"
  printf '%s arm64\n' atfork libatfork-dev libatfork0 lua-atfork python3-atfork | diff - "$work/built"
}

unpacks() {
  for file in ../*.deb; do dpkg-deb --extract "$file" "$work/root"; done
}

# Objects of the static library, too.
is_for_arm64() {
  find "$work/root/usr" \( -name '*.so*' -o -name '*.a' -o -path '*/bin/*' \) -type f ! -path '*/debug/*' >"$work/files"
  test "$(wc -l <"$work/files")" -ge 10
  while read -r file; do readelf -h "$file"; done <"$work/files" | sed -n 's/^ *Machine: *//p' | sort -u >"$work/machines"
  test "$(cat "$work/machines")" = AArch64
}

# Python looks for that name.
is_named_for_arm64() {
  find "$work/root/usr/lib/python3" -name '*.so' >"$work/modules"
  grep '/_native\.cpython-3[0-9]*-aarch64-linux-gnu\.so$' "$work/modules"
  ! grep -v 'aarch64' "$work/modules"
}

# Which are what the command says of itself.
has_the_pages_of_the_command() {
  zgrep -F 'fail\-on' "$work/root/usr/share/man/man1/atfork-doctor.1.gz"
  test "$(find "$work/root/usr/share/man/man1" -name '*.gz' | wc -l)" -eq 5
}

check "the build, by doc/packages.md" builds
check "each package is there" has_the_packages
check "they are unpacked" unpacks
check "all that is compiled is for arm64" is_for_arm64
check "so is the name of Python's module" is_named_for_arm64
check "the manual pages of the command" has_the_pages_of_the_command
all_checked

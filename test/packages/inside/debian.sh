#!/bin/sh
# Debian's packages in ../brought: installed, tested by autopkgtest, upgraded and purged.
set -eu
# shellcheck source=test/packages/inside/lib.sh
. test/packages/inside/lib.sh
packages=$(for file in ../brought/*.deb; do dpkg-deb --field "$file" Package; done)

installs() {
  install ../brought/*.deb
  # shellcheck disable=SC2086 # a list of words
  dpkg-query --show --showformat '${Package} ${Status} ${Version}\n' $packages | tee "$work/installed"
  test "$(grep -c ' install ok installed ' "$work/installed")" -eq "$(echo "$packages" | wc -l)"
}

# Whose results are checks of their own.
runs_autopkgtest() {
  install autopkgtest
  autopkgtest --no-built-binaries --summary-file="$work/summary" ../brought/*.deb . -- null
}

each_test_of_packages() {
  names=$(sed -n 's/^Tests: //p; s/^Features: test-name=//p' debian/tests/control | tr -d ,)
  for name in $names; do
    check "autopkgtest $name" grep -E "^$name +PASS" "$work/summary"
  done
}

# The same packages, of a later version.
make_later() {
  mkdir "$work/later"
  for file in ../brought/*.deb; do
    rm -rf "$work/package"
    dpkg-deb --raw-extract "$file" "$work/package"
    version=$(dpkg-deb --field "$file" Version)
    sed -i "s/^Version: .*/&+later/; s/(= $version)/(= $version+later)/" "$work/package/DEBIAN/control"
    dpkg-deb --build "$work/package" "$work/later"
  done
}

upgrades() {
  make_later
  install "$work"/later/*.deb
  # shellcheck disable=SC2086
  dpkg-query --show --showformat '${Status} ${Version}\n' $packages | tee "$work/upgraded"
  if grep -v '^install ok installed .*+later$' "$work/upgraded"; then return 1; fi
  # shellcheck disable=SC2086
  dpkg --verify $packages >"$work/changed"
  diff /dev/null "$work/changed"
  python3 -c 'import atfork'
}

# Files of ours, and those that came to be beside them.
ours() {
  find / -xdev \( -path /root -o -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/cache/apt \) -prune \
    -o -name '*atfork*' -print
}

removes() {
  ours >"$work/ours"
  test "$(wc -l <"$work/ours")" -gt 50
  # shellcheck disable=SC2086
  apt-get remove -q -y $packages
  # Nothing to configure, so nothing stays for a purge.
  # shellcheck disable=SC2086
  ! dpkg-query --show --showformat '${Package} ${Status}\n' $packages | grep -v 'unknown ok not-installed'
}

leaves_nothing() {
  ours >"$work/left"
  diff /dev/null "$work/left"
}

installs_again_and_purges() {
  install ../brought/*.deb
  # shellcheck disable=SC2086
  apt-get purge -q -y $packages
  leaves_nothing
}

check "the packages and what they depend on are installed" installs
check "autopkgtest" runs_autopkgtest
each_test_of_packages
check "an upgrade" upgrades
check "a removal" removes
check "it leaves nothing" leaves_nothing
check "installed again and purged: nothing is left" installs_again_and_purges
all_checked

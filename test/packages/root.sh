# What the tests of packages share: the clean root that each of them runs in.  To be sourced, with $source set.
# shellcheck shell=sh disable=SC2154

# shellcheck source=test/lib/install.sh
. "$source/test/lib/install.sh"

skip_all() {
  echo "1..0 # SKIP $1"
  exit
}

# needs TOOL...: skips the test where one of them is missing.
needs() {
  for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 || skip_all "$tool is not here"
  done
}

# Skips the test where it cannot run.
can_enter_root() {
  [ "$(id -u)" -eq 0 ] || skip_all "only root may make a clean root"
  needs mmdebstrap
  git -c safe.directory='*' -C "$source" rev-parse --quiet --verify HEAD >/dev/null 2>&1 ||
    skip_all "a clean root has a clone of the repository, and this is none"
}

# The machine's own suite, as Debian's packages are built on it, or ATFORK_SUITE of the environment.
suite() {
  own=bookworm
  if grep -qsx ID=debian /etc/os-release; then own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release); fi
  echo "${ATFORK_SUITE:-$own}"
}

# enter_root NAME DIRECTORY: runs test/packages/inside/NAME.sh in a clean root, with DIRECTORY as /root/brought.
enter_root() {
  "$source/script/clean-root" --suite "$(suite)" --name "$1" --bring "$2" "test/packages/inside/$1.sh"
}

# install_library BUILD DIRECTORY: what a program needs that uses the C library, as installed.
install_library() {
  install_to "$2.all" "$1" >/dev/null
  (cd "$2.all" && find . -path '*/include/atfork*.h' -o -name 'libatfork.*' -o -name atfork.pc -o -path '*/cmake/atfork/*') >"$2.list"
  mkdir -p "$2"
  tar -C "$2.all" -cf - -T "$2.list" | tar -C "$2" -xf -
  rm -rf "$2.all" "$2.list"
}

# make_archive DIRECTORY: what `meson dist` makes of the last commit.
make_archive() {
  git -c safe.directory='*' clone --quiet "$source" "$1.clone"
  meson setup "$1.clone/build" "$1.clone" -Dlua= -Druby=disabled -Dpython= -Dtests=disabled -Dtools=disabled \
    -Dexamples=false -Dman=false -Ddocs=disabled >"$1.log" || { cat "$1.log"; return 1; }
  meson dist -C "$1.clone/build" --no-tests >"$1.log" || { cat "$1.log"; return 1; }
  cp "$1.clone/build/meson-dist"/* "$1"
  rm -rf "$1.clone" "$1.log"
}

#!/bin/sh
# The project's scripts: what a user gets who asks for help, or mistypes; what they install; and what a test's install
# leaves that is ended.  Speaks the Test Anything Protocol.
#
# check.sh SOURCE
set -eu

source=$1
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

# Whatever a script would install or build with leaves a trace, and fails.
mkdir "$work/bin"
for tool in apt-get dpkg-query meson mmdebstrap ninja sudo; do
  # shellcheck disable=SC2016 # expanded there
  printf '#!/bin/sh\necho "$0 $*" >>"%s/trace"\nexit 1\n' "$work" >"$work/bin/$tool"
  chmod +x "$work/bin/$tool"
done

run() {
  status=0
  PATH="$work/bin:$PATH" "$@" >"$work/out" 2>"$work/err" || status=$?
  cat "$work/out" "$work/err"
  test ! -e "$work/trace" || { cat "$work/trace"; exit 1; }
}

gives_help() {
  run "$source/script/$1" --help
  test "$status" -eq 0
  grep "^script/$1" "$work/out"
}

names_what_is_wrong() {
  run "$source/script/$1" "$2"
  test "$status" -eq 2
  test ! -s "$work/out"
  grep -e "$2" "$work/err"
  grep "^script/$1" "$work/err"
}

for script in abi again amalgamate analyse bench bootstrap clean-root count coverage demo emulated fuzz gem mutants \
  project rock soak test; do
  check "script/$script --help" gives_help $script
  check "script/$script --nope does nothing else" names_what_is_wrong $script --nope
done
check "script/fuzz --guided says what it can lead" names_what_is_wrong fuzz --guided
for script in bootstrap demo emulated test; do
  check "script/$script nope does nothing else" names_what_is_wrong $script nope
done

# installs PACKAGES SCRIPT ARGUMENT...: these, where nothing is installed
installs() {
  packages=$1 script=$2
  shift 2
  PATH="$work/bin:$PATH" "$source/script/$script" "$@" >"$work/out" 2>"$work/err" || true
  rm -f "$work/trace"
  cat "$work/out" "$work/err"
  grep -x "==> installing: $packages " "$work/out"
}
core='gcc libc6-dev meson ninja-build pkg-config'
check "script/fuzz installs what it needs" installs "$core libglib2.0-dev" fuzz 1
check "script/fuzz --guided installs what it needs" installs "$core libglib2.0-dev clang libclang-rt-dev" fuzz --guided rank 1

# Meson is a program that is ended in the middle of its install, with whoever called it.
mkdir -p "$work/ended" "$work/build/meson-logs"
log=$work/build/meson-logs/install-log.txt
# shellcheck disable=SC2016 # expanded there
printf '#!/bin/sh\necho of the test >"$LOG"\nkill -TERM $PPID\n' >"$work/ended/meson"
chmod +x "$work/ended/meson"
install_is_ended() {
  # shellcheck disable=SC2016 # expanded there
  ! PATH="$work/ended:$PATH" LOG="$log" sh -c '. "$0/test/lib/install.sh"; install_to "$1/dest" "$1/build"' "$source" "$work"
}
leaves_no_log() {
  install_is_ended
  test ! -e "$log"
}
leaves_the_log_before() {
  echo of the user >"$log"
  install_is_ended
  cat "$log"
  grep -x 'of the user' "$log"
}
check "a test's install that is ended leaves no log" leaves_no_log
check "a test's install that is ended leaves the log before" leaves_the_log_before

all_checked

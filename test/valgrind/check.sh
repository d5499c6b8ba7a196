#!/bin/sh
# helgrind and drd, with the library's suppressions: a clean program has no report, and one with a race has it.
# Speaks the Test Anything Protocol.
#
# check.sh SOURCE PROGRAM
set -eu

source=$1
program=$2
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

# under TOOL [ARGUMENT]    9 when it reports something, in this process or in a child.
under() {
  tool=$1
  shift
  # shellcheck disable=SC2086 # no word, or one
  valgrind --quiet --tool="$tool" --fair-sched=try --trace-children=no --error-exitcode=9 $suppressions "$program" "$@"
}

# reports FUNCTION TOOL [ARGUMENT]    There are reports; with suppressions, each is about that function.
reports() {
  function=$1
  shift
  status=0
  under "$@" >"$work/report" 2>&1 || status=$?
  test "$status" -eq 9
  grep -e 'Possible data race' -e '^==[0-9]*== Conflicting' -A 2 "$work/report" | grep '==    at 0x' >"$work/places"
  sort "$work/places" | uniq -c
  grep -q "$function" "$work/places"
  if [ -n "$suppressions" ]; then test -z "$(grep -v "$function" "$work/places")"; fi
}

for tool in helgrind drd; do
  suppressions=
  check "$tool reports atomic operations of the library" reports atfork_ "$tool"
  suppressions=--suppressions=$source/lib/atfork.supp
  check "$tool, with the suppressions: no report" under "$tool"
  check "$tool, with the suppressions: a race of the program's" reports rounds "$tool" program
  check "$tool, with the suppressions: a race between callbacks" reports note_fork "$tool" callback
done
all_checked

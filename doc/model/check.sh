#!/bin/sh
# Has spin verify each scenario, and find each bug that is seeded.  Speaks the Test Anything Protocol.
#
# check.sh [CC...]
set -eu

cc=${*:-cc}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# verify SCENARIO [-DNAME]...: leaves pan's report in $work/report, and how many states it saw in $states.
verify() {
  scenario=$1
  shift
  rm -f "$work"/pan*
  # Compiling better takes longer than it saves.
  (cd "$work" && spin -a "$@" "$scenario.pml" && $cc -O0 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1024 -o pan pan.c) \
    >"$work/log" 2>&1 || { tail -n 20 "$work/log" | sed 's/^/# /'; echo "Bail out! spin or $cc failed"; exit 1; }
  # -E: a thread that a fork leaves behind stops anywhere; the models look for deadlocks themselves.
  (cd "$work" && ./pan -m100000 -E) >"$work/report" 2>&1 || true
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/report")
}

report() {
  number=$((number + 1))
  if [ "$1" = yes ]; then
    echo "ok $number - $2"
  else
    echo "not ok $number - $2"
    sed -n '/^unreached/q; s/^/# /p' "$work/report"
    failed=1
  fi
}

# holds SCENARIO [-DNAME]...
holds() {
  verify "$@"
  result=yes
  grep -q 'errors: 0$' "$work/report" || result=no
  # A search that was cut short proves nothing.
  if grep -q -e 'max search depth too small' -e 'Search not completed' "$work/report"; then result=no; fi
  report "$result" "$* holds: $states states"
}

# breaks PROPERTY SCENARIO -DBUG_NAME...
breaks() {
  property=$1
  shift
  verify "$@"
  result=no
  if grep -q "assertion violated.*(*$property||" "$work/report"; then result=yes; fi
  report "$result" "$* breaks '$property': $states states"
}

cp "$here"/*.pml "$work"

holds final
holds final -DCOUNTED
holds deferred -DCOUNTED
holds nested
holds nested -DCOUNTED
holds child
holds child -DCOUNTED
holds bypass
holds bypass -DCOUNTED
holds poll
holds poll -DCOUNTED
holds signal
holds signal -DIN_A_FORK
holds signal -DCOUNTED
holds update
holds sleep
holds look
holds not_now
holds not_now -DITSELF
holds publish
holds bury
holds begin
holds begin -DOTHERS
holds reuse
holds wake
holds last

breaks final final -DBUG_READS_FIRST
breaks final final -DBUG_SCANS_FIRST
breaks final final -DBUG_BURIES_AT_ONCE
breaks final final -DCOUNTED -DBUG_COUNTS_LATE
breaks final final -DCOUNTED -DBUG_UNCOUNTS_EARLY
breaks whole child -DCOUNTED -DBUG_COUNTS_NONE
breaks whole bypass -DBUG_NO_UNDO
breaks whole deferred -DBUG_KEEPS_FRAMES
breaks pairing nested -DBUG_INNER_BURIES
breaks pairing nested -DBUG_CUT_SHORT
breaks pairing nested -DBUG_SEES_ALONE
breaks once nested -DBUG_DISPATCHED_LATE
breaks once poll -DBUG_POLLS_ALL
breaks once signal -DBUG_RUNS_AGAIN
breaks once signal -DIN_A_FORK -DBUG_BORN_TWICE
breaks final signal -DBUG_ADOPTS_UNLESS_NESTED
breaks whole update -DBUG_COMMITS_BLINDLY
breaks whole update -DBUG_WORKS_IN_PLACE
breaks whole update -DBUG_UNDOES_AND_LEAVES
breaks whole update -DBUG_UNDOES_WITHOUT_MEMORY
breaks deadlock sleep -DBUG_COUNTS_WAITERS
breaks deadlock sleep -DBUG_LOOKS_FIRST
breaks deadlock sleep -DBUG_WAKES_FIRST
breaks whole look -DBUG_TWO_PLACES
breaks whole look -DBUG_NOT_BUSY
breaks whole look -DBUG_STORES
breaks whole look -DBUG_NOT_COMPARED
breaks whole look -DBUG_UNTOLD
breaks deadlock not_now -DBUG_NEEDS_ALL
breaks deadlock not_now -DITSELF -DBUG_NEVER_GIVES_UP
breaks final not_now -DBUG_READS_FIRST
breaks final not_now -DITSELF -DBUG_BEGINS_FIRST
breaks whole publish -DBUG_STORES_RELAXED
breaks whole publish -DBUG_LOADS_RELAXED
breaks whole publish -DBUG_COMMITS_RELAXED
breaks final bury -DBUG_STORES_RELAXED
breaks final bury -DBUG_LOADS_RELAXED
breaks final bury -DBUG_COUNTS_LATE
breaks final begin -DBUG_COUNTS_RELAXED
breaks final begin -DBUG_COUNTS_ACQUIRE_RELEASE
breaks final begin -DBUG_READS_ACQUIRE
breaks final begin -DBUG_COMMITS_RELEASE
breaks final begin -DBUG_LOOKS_RELAXED
breaks final begin -DOTHERS -DBUG_COUNTS_RELAXED
breaks final begin -DOTHERS -DBUG_LOOKS_RELAXED
breaks final reuse -DBUG_FREES_RELAXED
breaks final reuse -DBUG_FREES_FIRST
breaks final reuse -DBUG_CLAIMS_RELAXED
breaks deadlock wake -DBUG_SAYS_ACQUIRE_RELEASE
breaks deadlock wake -DBUG_STORES_RELEASE
breaks deadlock wake -DBUG_LOOKS_ACQUIRE
breaks whole last -DBUG_SAYS_RELEASE
breaks whole last -DBUG_READS_ACQUIRE
breaks whole last -DBUG_COMMITS_RELEASE
echo "1..$number"
exit "$failed"

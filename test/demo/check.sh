#!/bin/sh
# Runs script/demo and checks what it shows.  Speaks the Test Anything Protocol.
#
# check.sh SOURCE BUILD
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failed=0

check() {
  number=$((number + 1))
  if [ "$2" = "$3" ]; then
    echo "ok $number - $1"
  else
    echo "not ok $number - $1"
    echo "# got '$2', wanted '$3'"
    sed 's/^/# /' "$work/out"
    failed=1
  fi
}

# section TITLE MODE: the lines below a title, of "without hooks" or of "with libatfork".
section() {
  awk -v title="==> $1" -v mode="$2" '
    /^==>/ { here = index($0, title) == 1 }
    /^with/ { on = index($0, mode) == 1 }
    here && on { print }' "$work/out"
}

# How many different draws; how many in all.
distinct() {
  sed -n 's/.* draws //p' | sort -u | wc -l
}

status=0
ATFORK_BUILD=$2 "$1/script/demo" >"$work/out" 2>&1 || status=$?
check "the demo ends well" "$status" 0
check "C, without: all workers draw the same" "$(section C: without | distinct)" 1
check "C, without: some hang" "$(section C: without | grep -c hangs | sed 's/[1-3]/some/')" some
check "C, with: all draw their own" "$(section C: 'with l' | distinct)" 3
check "C, with: none hangs" "$(section C: 'with l' | grep -c 'is done')" 3
check "Lua, without: all workers draw the same" "$(section Lua: without | distinct)" 1
check "Lua, with: all draw their own, and again the same" "$(section Lua: 'with l' | distinct)" 3
check "Lua, with: two runs were shown" "$(section Lua: 'with l' | grep -c draws)" 6
check "Ruby, without: all rows are lost" "$(section Ruby: without | grep -c '0 of 3 rows')" 1
check "Ruby, with: none is" "$(section Ruby: 'with l' | grep -c '3 of 3 rows')" 1
check "the C-side hook counted Lua's workers" "$(grep -c 'from lua: 3$' "$work/out")" 1
check "the C-side hook counted Ruby's workers" "$(grep -c 'from ruby: 3$' "$work/out")" 1
for language in C Lua Ruby; do
  check "the table: $language" "$(awk -v l="$language" '$1 == l { printf "%s ", $(NF - 3) " " $(NF - 2) " " $NF }' "$work/out")" \
    "0 0 0 1 0.1 1 1 0.2 1 1 0.3 1 "
  check "the table: four seeds of $language" "$(awk -v l="$language" '$1 == l { print $(NF - 1) }' "$work/out" | sort -u | wc -l)" 4
done
echo "1..$number"
exit "$failed"

#!/bin/sh
# What the DLL exports, and what it needs.  Speaks the Test Anything Protocol.
#
# exports.sh OBJDUMP DLL MAP
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" -p "$2" >"$work/dump"
status=0

# compare NUMBER NAME FOUND WANTED
compare() {
  if cmp -s "$3" "$4"; then
    echo "ok $1 - $2"
  else
    echo "not ok $1 - $2"
    diff "$3" "$4" | sed 's/^/# /'
    status=1
  fi
}

# All that the ELF library does, but for what takes mutexes.
sed -n 's/^ *\(atfork_[a-z_]*\);$/\1/p' "$3" | grep -v mutex | sort >"$work/wanted"
awk '/^\[Ordinal\/Name Pointer\] Table/ { on = 1; next } on && NF == 0 { exit } on { print $NF }' "$work/dump" |
  sort >"$work/exported"

# Windows's own: no run-time library of the compiler has to come along.
printf '%s\n' KERNEL32.dll api-ms-win-core-synch-l1-2-0.dll msvcrt.dll >"$work/system"
sed -n 's/^.*DLL Name: //p' "$work/dump" | sort >"$work/needed"

echo 1..2
compare 1 "exports atfork_* and nothing else" "$work/exported" "$work/wanted"
compare 2 "needs nothing but the system" "$work/needed" "$work/system"
exit "$status"

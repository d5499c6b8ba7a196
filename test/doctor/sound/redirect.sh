#!/bin/sh
# SPDX-License-Identifier: MIT
# After SerenityOS/serenity#3527: a shell, its subshells and what they run write into one file, each behind the other.
# finds: nothing
journal=$(mktemp)
exec 3>"$journal"
(echo "from a subshell" >&3)
echo "from the shell" >&3
ls / >&3
exec 3>&-
while read -r line; do
  echo "$line" | cat >/dev/null
done <"$journal"
rm "$journal"

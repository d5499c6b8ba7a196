#!/bin/sh
# SPDX-License-Identifier: MIT
# After ahmedbilal/OSTEP-Solution#1: a shell forks for pipes, for a subshell, and in the background.
# finds: nothing
printf 'one\ntwo\n' | sort -r | while read -r line; do echo "$line"; done
(cd / && pwd)
answer=$(uname)
true &
wait
exec 3>/dev/null
echo "$answer" >&3

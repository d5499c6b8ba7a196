#!/bin/sh
# Debian's packages, built for another processor in a clean root.  Speaks the Test Anything Protocol.
#
# cross.sh SOURCE
set -eu

source=$1
# shellcheck source=test/packages/root.sh
. "$source/test/packages/root.sh"
can_enter_root
[ "$(dpkg --print-architecture)" = amd64 ] || skip_all "doc/packages.md builds for arm64 on amd64"
nothing=$(mktemp -d)
trap 'rm -rf "$nothing"' EXIT
enter_root cross "$nothing"

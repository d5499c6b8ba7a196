#!/bin/sh
# The wrap, with the archive that `meson dist` makes, in a clean root.  Speaks the Test Anything Protocol.
#
# wrap.sh SOURCE BUILD
set -eu

source=$1
# shellcheck source=test/packages/root.sh
. "$source/test/packages/root.sh"
can_enter_root
brought=$(mktemp -d)
trap 'rm -rf "$brought"' EXIT
install_library "$2" "$brought/library"
make_archive "$brought"
enter_root wrap "$brought"

#!/bin/sh
# The Ruby gem, with the copy of the library inside and with an installed one, in a clean root.  Speaks the Test Anything
# Protocol.
#
# gem.sh SOURCE BUILD
set -eu

source=$1
# shellcheck source=test/packages/root.sh
. "$source/test/packages/root.sh"
can_enter_root
needs gem swig
brought=$(mktemp -d)
trap 'rm -rf "$brought"' EXIT
install_library "$2" "$brought/library"
# Built here, as SWIG is needed for that.
"$source/script/gem" "$brought"
enter_root gem "$brought"

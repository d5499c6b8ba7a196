#!/bin/sh
# The source rock for each Lua, with the copy of the library inside and with an installed one, in a clean root.  Speaks
# the Test Anything Protocol.
#
# rock.sh SOURCE BUILD
set -eu

source=$1
# shellcheck source=test/packages/root.sh
. "$source/test/packages/root.sh"
can_enter_root
needs make swig zip
brought=$(mktemp -d)
trap 'rm -rf "$brought"' EXIT
install_library "$2" "$brought/library"
# Packed here, as SWIG is needed for that.
"$source/script/rock" "$brought"
enter_root rock "$brought"

#!/bin/sh
# find_package(atfork) in CMake, in a clean root.  Speaks the Test Anything Protocol.
#
# cmake.sh SOURCE BUILD
set -eu

source=$1
# shellcheck source=test/packages/root.sh
. "$source/test/packages/root.sh"
can_enter_root
brought=$(mktemp -d)
trap 'rm -rf "$brought"' EXIT
install_library "$2" "$brought"
enter_root cmake "$brought"

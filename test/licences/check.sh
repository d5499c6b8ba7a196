#!/bin/sh
# SPDX-License-Identifier: MIT
# Each file has a licence and a copyright, by the rules of REUSE.  Speaks the Test Anything Protocol.
#
# check.sh SOURCE REUSE
set -eu

source=$1
reuse=$2
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

# .reuse/dep5 has the copyright, and the licence of what can have no comment.
keeps_the_rules() {
  "$reuse" --root "$source" lint
}

texts_agree() {
  diff "$source/LICENSE" "$source/LICENSES/MIT.txt"
}

# A source file is often copied by itself.  The tag in two parts, that it is not taken for this file's own.
tag='SPDX-License''-Identifier: MIT'
sources_say_it() {
  find "$source" ! -path "$source" \( -name '.*' -o -name 'build*' -type d -o -path "$source/subprojects/*" \) -prune -o \
    -type f \( -name '*.[chi]' -o -name '*.py' -o -name '*.rb' -o -name '*.lua' -o -name '*.pml' \) -print |
    tee "$work/sources" | while read -r file; do head -5 "$file" | grep -q "$tag" || echo "$file"; done >"$work/without"
  cat "$work/without"
  test -s "$work/sources"
  test ! -s "$work/without"
}

check "each file has a licence and a copyright" keeps_the_rules
check "both texts of the licence are the same" texts_agree
check "each source file names its licence" sources_say_it
all_checked

# For the tests that run in a clean root, in a clone of the repository.  To be sourced there.
# shellcheck shell=sh
# shellcheck source=test/lib/tap.sh
. test/lib/tap.sh
source=$PWD
# shellcheck disable=SC2034 # those that source this use it
version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" meson.build | head -n 1)
export DEBIAN_FRONTEND=noninteractive

# sample HEADING [N]: the N-th block of shell commands, by default the first, in doc/packages.md below that heading.
sample() {
  awk -v heading="$1" -v wanted="${2:-1}" '
    /^#/ { below = index($0, heading) > 0 }
    /^```$/ && inside { inside = 0; if (found == wanted) exit }
    inside && found == wanted { print }
    /^```sh$/ && below { inside = 1; found++ }' "$source/doc/packages.md"
}

# Runs it, here.
run_sample() {
  sample "$@" >"$work/sample"
  test -s "$work/sample"
  sh -eux "$work/sample"
}

# The packages that are named in a sample; the others come with `apt-get install` of a test.
install() {
  apt-get update -q
  apt-get install -q -y --no-install-recommends "$@"
}

# The library as `meson install` puts it into place.
install_brought() {
  cp -a /root/brought/. /
  ldconfig
}

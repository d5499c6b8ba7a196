# For the tests that run in a clean root, in a clone of the repository.  To be sourced there.
# shellcheck shell=sh
# shellcheck source=test/lib/tap.sh
. test/lib/tap.sh
source=$PWD
# shellcheck source=test/packages/samples.sh
. test/packages/samples.sh
# shellcheck disable=SC2034 # those that source this use it
version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" meson.build | head -n 1)
export DEBIAN_FRONTEND=noninteractive

# run_sample HEADING [N]: runs it, here.
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

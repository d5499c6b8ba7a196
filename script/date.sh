# Dates what a script packs by the last commit, so that packing it again gives the same bytes.  To be sourced in the root
# of the tree.
# shellcheck shell=sh
# Where there is no git, as in an archive, by a file: an archive's have the commit's date.
last_change() {
  { [ -e .git ] && git -c safe.directory='*' log -1 --format=%ct 2>/dev/null; } || date -r meson.build +%s
}
: "${SOURCE_DATE_EPOCH:=$(last_change)}"
export SOURCE_DATE_EPOCH

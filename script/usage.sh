# What a script's first comment says of how it is called.  To be sourced, before the script changes its directory.
# shellcheck shell=sh
usage() {
  sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
}

# misused WORD: says which word of the command line is wrong, and how it is meant.
misused() {
  echo "script/${0##*/}: what is '$1'?" >&2
  usage >&2
  exit 2
}

# Cases that are shell functions, for scripts that speak the Test Anything Protocol.  To be sourced under `set -eu`.
# shellcheck shell=sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# check NAME COMMAND...    Each command in a function counts: -e has no force in a condition, so it does not stand in one.
check() {
  name=$1
  shift
  number=$((number + 1))
  set +e
  (set -e; "$@") >"$work/log" 2>&1
  status=$?
  set -e
  if [ "$status" -eq 0 ]; then
    echo "ok $number - $name"
  else
    echo "not ok $number - $name"
    sed 's/^/# /' "$work/log" >&2
    failed=1
  fi
}

# skip NAME WHY
skip() {
  number=$((number + 1))
  echo "ok $number - $1 # SKIP $2"
}

all_checked() {
  echo "1..$number"
  exit "$failed"
}

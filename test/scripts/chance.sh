#!/bin/sh
# A test that fails by chance: script/again runs it again, and script/count shows it.  Speaks the Test Anything Protocol.
#
# chance.sh SOURCE
set -eu

source=$1
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

# One test of each kind: `chance` fails in its first run alone, `often` in every second one.
mkdir "$work/project"
cat >"$work/project/meson.build" <<'EOF'
project('project')
sh = find_program('sh')
tap = 'n=$(cat $1 2>/dev/null || echo 0); echo $((n + 1)) >$1; echo 1..2; echo ok 1; test $(($n % $2)) -eq 0 && echo "$3 says why" >&2 && echo not ok 2 || echo ok 2'
foreach name, every : {'sure': '1', 'chance': '9', 'often': '2'}
  test(name, sh, args: ['-c', tap, 'sh', meson.current_build_dir() / name + '.runs', every, name], suite: 'core', protocol: 'tap')
endforeach
test('fine', sh, args: ['-c', 'echo 1..1; echo ok 1'], suite: 'other', protocol: 'tap')
EOF

# runs TEST...
runs() {
  rm -rf "$work/build"
  meson setup "$work/build" "$work/project"
  meson test -C "$work/build" --no-rebuild "$@" || "$source/script/again" "$work/build"
}

counts() {
  status=0
  "$source/script/count" "$work/build" >"$work/counted" || status=$?
  cat "$work/counted"
}

# In the table: programs, unsteady, passed, failed, skipped.
is_counted() {
  grep -E "^$work/build +all +$1 +$2 +$3 +$4 +$5 " "$work/counted"
  tail -n 1 "$work/counted" | grep -x "$3 passed, $4 failed, $5 skipped"
}

passes() {
  runs fine
  counts
  test "$status" -eq 0
  is_counted 1 0 1 0 0
  test ! -e "$work/build/meson-logs/again1.json"
}

passes_again() {
  runs fine chance
  counts
  test "$status" -eq 0
  is_counted 2 1 3 0 0
  grep -F 'core / chance failed, and passed when it ran again alone' "$work/counted"
  grep -F 'chance says why' "$work/counted"
  test "$(cat "$work/build/chance.runs")" -eq 4
}

fails() {
  runs fine "$1"
  counts
  test "$status" -eq 1
  is_counted 2 0 2 1 0
  grep -F "core / $1 failed (" "$work/counted"
  grep -F "$1 says why" "$work/counted"
}

# What ran again after an earlier run says nothing of this one.
fails_later() {
  runs fine chance
  rm "$work/build/chance.runs"
  meson test -C "$work/build" --no-rebuild fine chance || true
  counts
  test "$status" -eq 1
  is_counted 2 0 2 1 0
}

# More than chance lets fail.
is_not_run_again() {
  for name in one two three four; do
    echo "test('$name', find_program('false'), suite: 'core')" >>"$work/project/meson.build"
  done
  runs chance one two three four
  counts
  test "$status" -eq 1
  is_counted 5 0 1 5 0
  test "$(cat "$work/build/chance.runs")" -eq 1
}

check "what passes runs once" passes
check "what fails by chance runs three times more, and is shown" passes_again
check "what fails in every second run has failed" fails often
check "what always fails has failed" fails sure
check "what fails after it has run again has failed" fails_later
check "what is too much for chance does not run again" is_not_run_again
all_checked

#!/bin/sh
# What a new user does on a machine that has nothing: a C author, README's first command, a script author.  Installs
# packages and the library itself, so it is for a machine to throw away: script/clean-root test/clean/check.sh
# Speaks the Test Anything Protocol.
set -eu

cd "$(dirname "$0")/../.."
. test/lib/tap.sh

# block HEADING: the first block of shell commands in README.md below a line that begins with HEADING.
block() {
  awk -v heading="$1" '
    index($0, heading) == 1 { below = 1 }
    /^```$/ && inside { exit }
    inside { print }
    /^```sh$/ && below { inside = 1 }' README.md
}

# By README's own lines, in a build directory that is new.
installs() {
  rm -rf build
  block '## Building' >"$work/building"
  grep -q 'meson install' "$work/building"
  sh -eu "$work/building"
}

everything() {
  find /usr/local /etc/ld.so.conf.d | sort
}

uninstalls() {
  ninja -C build uninstall
  everything >"$work/after"
  diff "$work/before" "$work/after"
}

says_what_it_left_out() {
  meson setup "$work/again" >"$work/setup"
  grep 'Lua *: no: no SWIG' "$work/setup"
  grep 'Ruby *: no: no SWIG' "$work/setup"
  grep 'Python *: no: no SWIG' "$work/setup"
  grep 'Tests and benchmarks *: no: no GLib' "$work/setup"
}

c_program_runs() {
  # shellcheck disable=SC2046 # words are wanted
  cc -std=c11 test/consumer/consumer.c -o "$work/consumer" $(pkg-config --cflags --libs atfork)
  "$work/consumer"
}

demo_runs() {
  block '## Try it' >"$work/first"
  grep -qx 'script/demo' "$work/first"
  sh -eu "$work/first" | tee "$work/demo"
  for language in C Lua Ruby; do
    grep "^  $language  *worker 3 *1  0.3 " "$work/demo"
  done
}

demo_is_quick() {
  rm -rf build-demo
  begin=$(date +%s)
  script/demo
  echo "$(($(date +%s) - begin)) s with the packages there, of 90"
}

# hello COMMAND...: the command prints the lineage of a child, with no variable of the environment to help it.
hello() {
  test "$("$@")" = 0.1
}

lua_says_hello() {
  hello "$1" -e '
    local atfork = require "atfork"
    atfork.register_after_fork(function() print(atfork.lineage()) end)
    package.loadlib("'"$work"'/fork.so", "luaopen_fork")()'
}

ruby_says_hello() {
  hello ruby -e 'require "atfork"
    AtFork.register_after_fork { puts AtFork.lineage }
    Process.wait(fork {})'
}

python_says_hello() {
  hello "$@" -c 'import atfork, os
atfork.register_after_fork(lambda: print(atfork.lineage(), flush=True))
pid = os.fork()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)'
}

python_is_gone() {
  python3 -c 'import atfork' 2>&1 | grep ModuleNotFoundError
}

# Lua has no fork() of its own.
make_fork() {
  printf '%s\n' '#include <sys/wait.h>' '#include <unistd.h>' 'int luaopen_fork(void *state) {' \
    '(void)state; pid_t pid = fork(); if (pid > 0) waitpid(pid, 0, 0); return 0; }' >"$work/fork.c"
  cc -shared -fPIC "$work/fork.c" -o "$work/fork.so"
}

check "script/bootstrap core" script/bootstrap core
everything >"$work/before"
check "without GLib, SWIG and Lua, Meson says what it leaves out" says_what_it_left_out
check "README's lines install the C library" installs
check "pkg-config finds it, and a program runs" c_program_runs
check "ninja uninstall leaves nothing" uninstalls

check "README's first command" demo_runs
check "the demo again, from its own build on" demo_is_quick

check "script/bootstrap" script/bootstrap
everything >"$work/before"
check "README's lines install the bindings" installs
check "pkg-config finds it still" c_program_runs
make_fork
for lua in lua5.1 lua5.2 lua5.3 lua5.4 luajit; do
  check "hello in $lua" lua_says_hello "$lua"
done
check "hello in Ruby" ruby_says_hello
check "hello in Python" python_says_hello python3
check "hello in Python, optimised" python_says_hello python3 -O
check "ninja uninstall leaves nothing of the bindings" uninstalls
check "and Python finds nothing to import" python_is_gone
all_checked

#!/bin/sh
# What the header is to each compiler and standard that there is: free of warnings, and closed to wrong calls.
# Speaks the Test Anything Protocol.
#
# header.sh SOURCE
set -eu

source=$1
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

# Clang does not know all of them, and then says nothing.
warnings='-Werror -Wno-unknown-warning-option -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual
  -Wcast-align -Wundef -Wwrite-strings -Wredundant-decls -Wmissing-declarations -Wunused-macros'
c_warnings="$warnings -Wstrict-prototypes -Wmissing-prototypes -Wc++-compat"
# g++ also misses the fields that designated initialisers leave out.
cxx_warnings="$warnings -Wno-missing-field-initializers -Wold-style-cast -Wuseless-cast
  -Wzero-as-null-pointer-constant -Wextra-semi"

# known LANGUAGE COMPILERS STANDARDS: a line for each compiler here and standard that it knows.
known() {
  for compiler in $2; do
    if ! command -v "$compiler" >/dev/null; then continue; fi
    for standard in $3; do
      if "$compiler" "-std=$standard" -x "$1" -E /dev/null >/dev/null 2>&1; then
        echo "$compiler -std=$standard -x $1"
      fi
    done
  done
}

known c 'gcc clang' 'c99 gnu99 c11 gnu11 c17 gnu17 c2x gnu2x' >"$work/c"
known c++ 'g++ clang++' 'c++11 gnu++11 c++14 c++17 c++20 c++2b gnu++2b c++2c' >"$work/cxx"
# The calls are tried by the oldest and the newest only.
known c++ 'g++ clang++' 'c++11 c++2b' >"$work/cxx-calls"
known c 'gcc clang' 'c99 c2x' | cat - "$work/cxx-calls" >"$work/calls"

# By the header's path: what stands in a system's directory is warned of by no compiler.
compiles() {
  # shellcheck disable=SC2086 # words are wanted
  $1 -fsyntax-only -I"$source/lib" $2 "$3"
}

# With each name that an argument of a call below may have.
cat >"$work/use.c" <<'END'
#include <atfork.h>

extern struct atfork_hook hook;
extern struct atfork_once once;
extern pthread_mutex_t mutex;
extern void prepare(void), parent(void), child(void), func(void *data);
void use(void);
void use(void) {
  USE;
}
END

accepts() {
  while read -r how; do
    $how -fsyntax-only -I"$source/lib" "-DUSE=$1" "$work/use.c" 2>&1 || { echo "$how refuses $1"; return 1; }
  done <"$2"
}

# For the number of arguments: a warning alone, of their types, would let the call through.
refuses() {
  while read -r how; do
    if $how -fsyntax-only -I"$source/lib" "-DUSE=$1" "$work/use.c" >"$work/messages" 2>&1; then
      echo "$how accepts $1"
      return 1
    fi
    if ! grep -Eq "error: ($2)" "$work/messages"; then
      echo "$how refuses $1 for another reason:"
      cat "$work/messages"
      return 1
    fi
  done <"$work/calls"
}

arity='too (many|few) arguments|no matching function'

check "there is a compiler of C and one of C++" test -s "$work/c" -a -s "$work/cxx"
while read -r how; do
  check "$how, with all warnings" compiles "$how" "$c_warnings" "$source/test/core/header.c"
done <"$work/c"
while read -r how; do
  check "$how, with all warnings" compiles "$how" "$cxx_warnings" "$source/test/core/header.c"
done <"$work/cxx"

printf 'extern "C" {\n#include <atfork.h>\n}\natfork_id use() { return atfork_register(atfork_hook()); }\n' >"$work/inside.cc"
check "included inside extern \"C\"" compiles "$(tail -n 1 "$work/cxx")" '' "$work/inside.cc"

# As many arguments as there are parameters: else what is refused below might be refused for something else.
for use in 'atfork_register(&hook)' 'atfork_register_after_fork(func, &hook)' 'atfork_register_mutex(&mutex, 0)' \
  'atfork_once(&once, func, &hook)' 'atfork_generation()' '(atfork_register)(&hook)' '(void)&atfork_register'; do
  check "$use compiles" accepts "$use" "$work/calls"
done
for use in '::atfork_register(&hook)' '::atfork_register(hook)' '::atfork_register_after_fork(func, &hook)' \
  '::atfork_register_mutex(&mutex, 0)' '::atfork_once(&once, func, &hook)' '::atfork_generation()'; do
  check "$use compiles" accepts "$use" "$work/cxx-calls"
done
for use in 'atfork_register(prepare, parent, child)' 'atfork_register(&hook, &hook)' 'atfork_register_after_fork(func)' \
  'atfork_register_after_fork(func, &hook, &hook)' 'atfork_register_mutex(&mutex)' 'atfork_register_mutex(&mutex, 0, 0)' \
  'atfork_once(&once, func)' 'atfork_once(&once, func, &hook, &hook)' 'atfork_generation(0)'; do
  check "$use does not compile" refuses "$use" "$arity"
done
check "atfork_register() does not compile" refuses 'atfork_register()' 'expected (primary-)?expression'
all_checked

#!/bin/sh
# atfork-optional.h: a library that uses libatfork where it is loaded, and pthread_atfork() elsewhere.
# Speaks the Test Anything Protocol.
#
# optional.sh SOURCE BUILD
set -eu

source=$1
here=$source/test/consumer
library=$2/lib/libatfork.so.0
archive=$2/lib/libatfork.a
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"

command=$work/built/tools/atfork

# Meson's, which would have musl's programs find a library for glibc.
unset LD_LIBRARY_PATH

# A vendored copy of the header has nothing beside it, and no compiler takes it for a system's.
mkdir "$work/vendored"
cp "$source/lib/atfork-optional.h" "$work/vendored"
# By a path without blanks, as options are words of a string here.
ln -s "$source/lib" "$work/lib"
ln -s "$2" "$work/built"
warnings='-Werror -Wno-unknown-warning-option -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual
  -Wcast-align -Wundef -Wwrite-strings -Wredundant-decls -Wmissing-declarations -Wunused-macros'
cxx_warnings="$warnings -Wold-style-cast -Wuseless-cast"

# builds HOW: the library, and the host that loads it, the one that has it and the one that is linked with libatfork too.
builds() {
  # shellcheck disable=SC2086 # words are wanted, here and below
  $1 -fPIC -shared -I"$work/vendored" "$here/author.c" -o "$work/libauthor.so"
  $host -DAUTHOR="\"$work/libauthor.so\"" -DLIBRARY="\"$library\"" "$here/host.c" -o "$work/loads" -ldl
  $host -DAUTHOR="\"$work/libauthor.so\"" -DLIBRARY="\"$library\"" "$here/host.c" -o "$work/linked" \
    -Wl,--no-as-needed "$library" -Wl,-rpath,"$(dirname "$library")" -ldl
}

# inside HOW OUTPUT OPTIONS...: a host that has the library in itself.
inside() {
  how=$1
  output=$2
  shift 2
  $how -c -I"$work/vendored" "$here/author.c" -o "$work/author.o"
  $host -DAUTHOR_INSIDE "$here/host.c" "$work/author.o" -o "$output" "$@"
}

# says WHAT HOST STEP...
says() {
  expected=$1
  shift
  found=$("$@")
  echo "expected $expected, found $found"
  test "$found" = "$expected"
}

known() {
  $1 -E -I"$work/vendored" "$here/author.c" >/dev/null 2>&1
}

host='gcc -std=c11 -Wall -Wextra'
for how in 'gcc -std=c99' 'gcc -std=c99 -O2 -flto' 'clang -std=c99' 'clang -std=c2x -O2' \
  'g++ -x c++ -std=c++11' 'g++ -x c++ -std=c++20 -O2' 'clang++ -x c++ -std=c++11' 'clang++ -x c++ -std=c++20 -O2'; do
  known "$how" || continue
  case $how in
    *++*) all="$how $cxx_warnings" ;;
    *) all="$how $warnings -Wstrict-prototypes -Wmissing-prototypes -Wc++-compat" ;;
  esac
  check "$how: builds, with all warnings" builds "$all"
  check "$how: without libatfork" says pthread_atfork "$work/loads" author start fork fork
  check "$how: program linked with libatfork" says libatfork "$work/linked" author start fork fork
  check "$how: libatfork loaded before, RTLD_GLOBAL" says libatfork "$work/loads" global author start fork
  check "$how: libatfork loaded before, RTLD_LOCAL" says libatfork "$work/loads" local author start fork
  check "$how: libatfork loaded before the call, RTLD_GLOBAL" says libatfork "$work/loads" author global start fork
  check "$how: libatfork loaded before the call, RTLD_LOCAL" says libatfork "$work/loads" author local start fork
  check "$how: libatfork loaded after the call" says pthread_atfork "$work/loads" author start fork global fork
  check "$how: unloaded, without libatfork" says pthread_atfork "$work/loads" author start fork unload fork
  check "$how: unloaded, with libatfork" says libatfork "$work/linked" author start fork unload fork
  check "$how: beside atfork.h" inside "$all -DBESIDE_ATFORK_H -I$work/lib" "$work/beside" "$archive"
  check "$how: static, without libatfork" inside "$all" "$work/static" -static
  check "$how: static, without libatfork, forks" says pthread_atfork "$work/static" author start fork
  check "$how: static, with an archive that nothing uses" inside "$all" "$work/unused" -static "$archive"
  check "$how: static, with an archive that nothing uses, forks" says pthread_atfork "$work/unused" author start fork
  check "$how: static, with libatfork" inside "$all" "$work/used" -static -Wl,-u,atfork_register_for "$archive"
  check "$how: static, with libatfork, forks" says libatfork "$work/used" author start fork
done

how='gcc -std=c99'
check "no memory for pthread_atfork()" inside "$how -DNO_MEMORY" "$work/failing"
check "no memory for pthread_atfork(), fails" says failed "$work/failing" author fail
check "no memory in libatfork" inside "$how -DSTUB=ENOMEM" "$work/failing"
check "no memory in libatfork, fails" says failed "$work/failing" author fail
check "a function that stands in front of no libatfork" inside "$how -DSTUB=ENOSYS" "$work/stub"
check "a function that stands in front of no libatfork, forks" says pthread_atfork "$work/stub" author start fork

# Its functions stand in front of those of libatfork, also where there is none.
if [ "$2" != "${2#* }" ]; then
  skip "watched" "LD_PRELOAD has no path with a blank"
elif [ -x "$command" ] && [ -f "$2/tools/libatfork-watch.so" ]; then
  check "builds for the command atfork" builds "$how"
  watched="$command tree --output $work/tree --"
  # shellcheck disable=SC2086
  check "watched, without libatfork" says pthread_atfork $watched "$work/loads" author start fork
  # shellcheck disable=SC2086
  check "watched, with libatfork" says libatfork $watched "$work/linked" author start fork
  # shellcheck disable=SC2086
  check "watched, with libatfork loaded" says libatfork $watched "$work/loads" local author start fork
fi

# With its own copy of libatfork, as this build's is for another C library.  musl loads none by dlopen(), as its
# thread-local state is initial-exec.
if command -v musl-gcc >/dev/null; then
  host='musl-gcc -std=c11 -Wall -Wextra'
  sources=$(find "$work/lib/" -name '*.c' ! -name os_windows.c ! -name os_glibc.c)
  # shellcheck disable=SC2086
  musl_library() {
    musl-gcc -std=c11 -O1 -fPIC -shared -fvisibility=hidden -DATFORK_BUILDING $sources \
      -Wl,-soname,libatfork.so.0 -Wl,-z,nodelete -o "$work/libatfork.so.0"
  }
  library=$work/libatfork.so.0
  check "musl: builds libatfork" musl_library
  check "musl: builds" builds 'musl-gcc -std=c99 -Wall -Wextra -Wpedantic -Werror'
  check "musl: without libatfork" says pthread_atfork "$work/loads" author start fork fork
  check "musl: program linked with libatfork" says libatfork "$work/linked" author start fork fork
  check "musl: unloaded, with libatfork" says libatfork "$work/linked" author start fork unload fork
  check "musl: unloaded, without libatfork" says pthread_atfork "$work/loads" author start fork unload fork
  check "musl: static, without libatfork" inside 'musl-gcc -std=c99' "$work/static" -static
  check "musl: static, without libatfork, forks" says pthread_atfork "$work/static" author start fork
fi
all_checked

#!/bin/sh
# Builds a project of CMake's with the installed library, which is also moved, and taken apart.
set -eu
# shellcheck source=test/packages/inside/lib.sh
. test/packages/inside/lib.sh

installs_what_it_needs() {
  install gcc g++ libc6-dev cmake make
}

# The project that users read, around the program that every consumer has.
make_project() {
  mkdir "$work/project"
  cp test/consumer/consumer.c "$work/project/program.c"
  sample '## CMake' 1 cmake >"$work/project/CMakeLists.txt"
  grep -F 'find_package(atfork' "$work/project/CMakeLists.txt"
}

# builds DIRECTORY OPTIONS...
builds() {
  directory=$1
  shift
  cmake -S "$work/project" -B "$directory" -Werror=dev "$@"
  cmake --build "$directory"
}

is_shared() {
  ldd "$1" | grep libatfork.so.0
}

runs() {
  builds "$work/build"
  "$work/build/program"
  is_shared "$work/build/program"
}

runs_with_the_static_library() {
  cp -r "$work/project" "$work/static"
  sed -i 's/atfork::atfork/atfork::atfork_static/' "$work/static/CMakeLists.txt"
  cmake -S "$work/static" -B "$work/build-static" -DCMAKE_EXE_LINKER_FLAGS=-static
  cmake --build "$work/build-static"
  "$work/build-static/program"
  ! is_shared "$work/build-static/program"
}

# With a project that knows C++ alone.
runs_in_cxx() {
  mkdir "$work/cxx"
  sed 's/\<C)/CXX)/; s/program\.c/program.cc/' "$work/project/CMakeLists.txt" >"$work/cxx/CMakeLists.txt"
  printf '%s\n' '#include <atfork.h>' 'int main() { return static_cast<int>(atfork_generation()); }' >"$work/cxx/program.cc"
  cmake -S "$work/cxx" -B "$work/build-cxx"
  cmake --build "$work/build-cxx"
  "$work/build-cxx/program"
}

# It is found, and is so where the project asks twice, as one with parts does.
is_found_twice() {
  cp -r "$work/project" "$work/twice"
  echo 'find_package(atfork 0.1 REQUIRED)' >>"$work/twice/CMakeLists.txt"
  cmake -S "$work/twice" -B "$work/build-twice"
}

# asks REQUEST: whether a project that asks for this gets it.
asks() {
  rm -rf "$work/asks"
  mkdir "$work/asks"
  printf '%s\n' 'cmake_minimum_required(VERSION 3.19)' 'project(asks C)' "find_package(atfork $1 REQUIRED)" \
    >"$work/asks/CMakeLists.txt"
  cmake -S "$work/asks" -B "$work/asks/build"
}

suits() {
  for request in '' 0.1 "$version" "$version EXACT" "0.1...<1" "0.1...$version"; do asks "$request"; done
}

does_not_suit() {
  for request in 99 1.0 0.99 "0.99...<1" "0.0.1 EXACT" "0.0.1...0.0.9" "0.0.1...<$version"; do
    if asks "$request"; then return 1; fi
  done
}

# Of the library for 64 bits, in a project for 32.
does_not_suit_other_pointers() {
  printf '%s\n' 'set(CMAKE_SIZEOF_VOID_P 4)' "include($(find /usr/local -name atfork-config-version.cmake))" \
    'if(NOT PACKAGE_VERSION_UNSUITABLE)' 'message(FATAL_ERROR "it suits")' 'endif()' >"$work/pointers.cmake"
  cmake -P "$work/pointers.cmake"
}

# Somewhere else, of all three: the tree as it was installed, under another name.
runs_moved() {
  mkdir -p /opt
  mv /usr/local "/opt/moved here"
  mkdir /usr/local
  ldconfig
  builds "$work/build-moved" "-DCMAKE_PREFIX_PATH=/opt/moved here"
  "$work/build-moved/program"
  ldd "$work/build-moved/program" | grep '/opt/moved here/lib.*/libatfork.so.0'
}

runs_with_the_static_library_alone() {
  find "/opt/moved here" -name 'libatfork.so*' -delete
  builds "$work/build-alone" "-DCMAKE_PREFIX_PATH=/opt/moved here"
  "$work/build-alone/program"
  ! is_shared "$work/build-alone/program"
}

says_what_is_missing() {
  find "/opt/moved here" -name 'libatfork.a' -delete
  if builds "$work/build-nothing" "-DCMAKE_PREFIX_PATH=/opt/moved here" >"$work/out" 2>&1; then return 1; fi
  grep 'has no libatfork' "$work/out"
}

check "CMake and compilers" installs_what_it_needs
check "the project of doc/packages.md" make_project
install_brought
check "it builds and runs" runs
check "with atfork::atfork_static" runs_with_the_static_library
check "in C++ alone" runs_in_cxx
check "asked for twice" is_found_twice
check "versions that suit" suits
check "versions that do not" does_not_suit
check "a library for other pointers does not suit" does_not_suit_other_pointers
check "the installed tree may be moved" runs_moved
check "with the static library alone" runs_with_the_static_library_alone
check "with neither library" says_what_is_missing
all_checked

#!/bin/sh
# Builds the gem, installs it into a directory of its own, and uses it from there.  Speaks the Test Anything Protocol.
#
# gem.sh SOURCE BUILD RUBY
set -eu

source=$1
build=$2
ruby=$3
# shellcheck source=test/lib/tap.sh
. "$source/test/lib/tap.sh"
unset RUBYLIB RUBYOPT
export PKG_CONFIG_PATH="$build/meson-uninstalled" LD_LIBRARY_PATH="$build/lib" HOME="$work"

gem() {
  "$ruby" -S gem "$@"
}

# A case that compiles, for which RubyGems and extconf.rb need make.
check_compiled() {
  if command -v make >/dev/null; then
    check "$@"
  else
    number=$((number + 1))
    echo "ok $number - $1 # SKIP make is not installed"
  fi
}

# Straight from the repository, without SWIG's wrapper: the error names what builds it.
refuses() {
  cp -R "$source/bindings" "$source/meson.build" "$work"
  cd "$work/bindings/ruby"
  for force in '' --force; do
    # shellcheck disable=SC2086 # nothing, or an option
    if gem build $force --output "$work/refused.gem" atfork.gemspec >"$work/refusal" 2>&1; then return 1; fi
    cat "$work/refusal"
    grep -F 'script/gem' "$work/refusal"
  done
  test ! -e "$work/refused.gem"
}

builds() {
  "$source/script/gem" "$work"
  mv "$work"/atfork-*.gem "$work/atfork.gem"
}

# What it takes to build without SWIG, and nothing that is built.
holds() {
  (cd "$work" && tar -xf atfork.gem data.tar.gz && tar -tzf data.tar.gz) >"$work/files"
  for file in LICENSE atfork.rb atfork/forks.rb atfork/extconf.rb atfork/native_wrap.c sig/atfork.rbs; do
    grep -qx "$file" "$work/files"
  done
  ! grep -v -E '^LICENSE$|\.(rb|c|h|rbs)$' "$work/files"
}

# With no SWIG to be found.
installs() {
  mkdir "$work/bin"
  printf '#!/bin/sh\nexit 1\n' >"$work/bin/swig"
  chmod +x "$work/bin/swig"
  PATH="$work/bin:$PATH" gem install --local --no-document --install-dir "$work/my gems" --bindir "$work/bin" "$work/atfork.gem"
}

installs_with_copy() {
  gem install --local --no-document --install-dir "$work/my copies" "$work/atfork.gem" -- --disable-system-libraries
}

loads() {
  GEM_PATH="$work/my gems" "$ruby" -e '
    gem "atfork"
    require "atfork"
    abort "not of the gem" unless Gem.loaded_specs["atfork"].full_gem_path.start_with?(ARGV[0])
    abort "version" unless AtFork::VERSION == Gem.loaded_specs["atfork"].version.to_s
    AtFork.register_after_fork { exit!(42) }
    Process.wait(fork {})
    exit($?.exitstatus == 42)' "$work/my gems"
}

# With the gems that are installed, as minitest is one.
passes() {
  installed=$(gem env path)
  GEM_PATH="$work/my gems:$installed" "$ruby" "$source/test/ruby/scenarios.rb" >"$work/tap"
  grep -c '^ok' "$work/tap"
  ! grep '^not ok' "$work/tap"
}

# runs_hooks OPTIONS OF RUBY...
runs_hooks() {
  "$ruby" "$@" -r atfork -e 'AtFork.register_after_fork { exit!(42) }
    Process.wait(fork {})
    exit($?.exitstatus == 42)'
}

in_another_directory() {
  mkdir -p "$work/my build/atfork"
  cd "$work/my build/atfork"
  "$ruby" "$source/bindings/ruby/atfork/extconf.rb"
  make
  runs_hooks -I "$work/my build" -I "$source/bindings/ruby"
}

# As a bundle does that names the repository; and once more, where SWIG's wrapper and the copy are made already.
in_place() {
  mkdir "$work/my repository"
  cp -R "$source/bindings" "$source/lib" "$source/script" "$source/meson.build" "$work/my repository"
  cd "$work/my repository/bindings/ruby/atfork"
  for library in --disable-system-libraries --enable-system-libraries --disable-system-libraries; do
    "$ruby" extconf.rb "$library"
    make clean all
    runs_hooks -I ..
  done
}

leaves_nothing() {
  test ! -e "$source/bindings/ruby/atfork/native_wrap.c"
  test -z "$(find "$source/bindings" "$source/script" -name '*.gem' -o -name 'Makefile' -o -name '*.so')"
}

check "gem build in the repository names script/gem" refuses
check "script/gem builds it" builds
check "it holds SWIG's wrapper, and nothing built" holds
check_compiled "gem install --local, without SWIG" installs
check_compiled "the same with its copy of the library" installs_with_copy
check_compiled "it loads, and runs hooks" loads
check_compiled "it passes the scenarios" passes
check_compiled "extconf.rb of the repository, with SWIG" in_another_directory
check_compiled "extconf.rb in the repository" in_place
check "the repository is left as it was" leaves_nothing
all_checked

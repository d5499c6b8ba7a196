#!/bin/sh
# Installs the gem where neither libatfork nor SWIG is, and where libatfork is.
set -eu
# shellcheck source=test/packages/inside/lib.sh
. test/packages/inside/lib.sh
gem=/root/brought/atfork-$version.gem

installs_what_it_needs() {
  install ruby-bundler pkg-config
  run_sample '## Ruby'
  if command -v swig || pkg-config --exists atfork; then return 1; fi
}

warns_of_nothing() {
  gem install --local --no-document "$gem" >"$work/out" 2>&1 || { cat "$work/out"; return 1; }
  cat "$work/out"
  ! grep -i warning "$work/out"
}

# links_with_system DIRECTORY: whether the extension in it is linked with the shared library.
links_with_system() {
  ldd "$(find "$1" -path "*/extensions/*" -name native.so)" | grep libatfork.so.0
}

is_self_contained() {
  ! links_with_system "$(gem env gemdir)"
}

forks() {
  cd "$work"
  cat >fork.rb <<'END'
require "atfork"
abort AtFork::VERSION unless AtFork::VERSION == Gem.loaded_specs.fetch("atfork").version.to_s
AtFork.register_after_fork { exit!(AtFork.lineage == "0.1" ? 42 : 1) }
Process.wait(fork {})
exit($?.exitstatus == 42)
END
  "$@" ruby -r rubygems -e 'gem "atfork"; load "fork.rb"'
}

# An application that also uses a gem of the system.  Debian's have no file that Bundler could copy into vendor/cache.
bundles_with_the_system() {
  mkdir -p "$work/mixed/vendor/cache"
  cp "$gem" "$work/mixed/vendor/cache"
  cd "$work/mixed"
  { sample '## Ruby' 1 ruby && echo 'gem "rake"'; } >Gemfile
  bundle install --local --no-cache
  bundle exec ruby -e 'require "rake"; require "atfork"; exit AtFork.lineage == "0"'
  gem uninstall --all --executables atfork
}

# A bundle of its own, as an application has it: no gem of the system is seen.
bundles() {
  mkdir -p "$work/app/vendor/cache" "$work/app/config/initializers"
  cp "$gem" "$work/app/vendor/cache"
  cd "$work/app"
  sample '## Ruby' 1 ruby >Gemfile
  grep -x 'gem "atfork"' Gemfile
  bundle config set --local path vendor/bundle
  bundle install --local --no-cache
}

# What a framework does: the bundle, then each initializer; workers are forked later.
boots() {
  cd "$work/app"
  cat >config/initializers/atfork.rb <<'END'
WORKER = AtFork.per_process { AtFork.lineage }
AtFork.register(name: "app", child: -> { $ran = true })
END
  cat >boot.rb <<'END'
require "bundler/setup"
Bundler.require(:default)
Dir["config/initializers/*.rb"].sort.each { |file| load file }
abort "not of the bundle" unless Gem.loaded_specs["atfork"].full_gem_path.start_with?(Dir.pwd)
2.times { |n| Process.wait(fork { exit!($ran && WORKER.value == "0.#{n + 1}" ? 42 : 1) }); exit 1 if $?.exitstatus != 42 }
END
  bundle exec ruby boot.rb
}

# insists_in_vain MESSAGE
insists_in_vain() {
  if gem install --local --no-document --install-dir "$work/refused" "$gem" -- --enable-system-libraries >"$work/refusal" 2>&1; then
    return 1
  fi
  grep -F "$1" "$work/refusal"
}

# installs_into DIRECTORY OPTIONS...
installs_into() {
  to=$1
  shift
  gem install --local --no-document --install-dir "$to" "$gem" "$@"
}

uses_the_system() {
  installs_into "$work/system"
  links_with_system "$work/system"
  forks env GEM_PATH="$work/system"
}

uses_the_copy_when_told() {
  installs_into "$work/copy" -- --disable-system-libraries
  if links_with_system "$work/copy"; then return 1; fi
  forks env GEM_PATH="$work/copy"
}

# One that is older than the gem, or of another major version, is left alone, and refused where it is insisted on.
uses_the_copy_beside() {
  pc=$(find /usr/local -name atfork.pc)
  cp "$pc" "$work/atfork.pc"
  sed -i "s/^Version:.*/Version: $1/" "$pc"
  installs_into "$work/beside-$1"
  insists_in_vain "pkg-config finds libatfork $1, which is older than this gem or of another major version"
  cp "$work/atfork.pc" "$pc"
  if links_with_system "$work/beside-$1"; then return 1; fi
  forks env GEM_PATH="$work/beside-$1"
}

# Both in one process: the system's is loaded first.
shares_a_registry() {
  cd "$work"
  cat >share.rb <<'END'
require "fiddle"
system = Fiddle.dlopen("libatfork.so.0")
require "atfork"
hook = AtFork.register_after_fork {}
unregister = Fiddle::Function.new(system["atfork_unregister"], [-Fiddle::TYPE_LONG_LONG], Fiddle::TYPE_INT)
exit(unregister.call(hook.id) == 0 && AtFork.hooks.empty?)
END
  GEM_PATH="$work/copy" ruby -e 'gem "atfork"; load "share.rb"'
}

uninstalls() {
  test -n "$(find "$(gem env gemdir)" -path '*atfork*')"
  gem uninstall --all --executables atfork
  test -z "$(find "$(gem env gemdir)" -path '*atfork*')"
}

check "the packages that doc/packages.md names" installs_what_it_needs
check "a Gemfile, beside a gem of the system" bundles_with_the_system
check "gem install without libatfork, without a warning" warns_of_nothing
check "its extension needs no libatfork" is_self_contained
check "it forks" forks env
check "a Gemfile" bundles
check "an application boots with it, and forks workers" boots
check "--enable-system-libraries names what is missing" insists_in_vain 'pkg-config finds no libatfork;'
cp -a /root/brought/library/. /
ldconfig
check "gem install takes an installed libatfork" uses_the_system
check "but not with --disable-system-libraries" uses_the_copy_when_told
check "nor one that is older" uses_the_copy_beside 0.0.9
check "nor one of another major version" uses_the_copy_beside 1.0.0
check "one registry with the system's library" shares_a_registry
check "gem uninstall leaves nothing" uninstalls
all_checked

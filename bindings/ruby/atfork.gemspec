# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# script/gem builds the gem, with SWIG's wrapper and a copy of the library inside: its users need neither SWIG nor
# libatfork.  Bundler takes the repository as it is, and extconf.rb then makes both.
made = ["LICENSE", "atfork/native_wrap.c", "atfork/vendor/atfork.c", "atfork/vendor/atfork.h"]
if defined?(Gem::Commands::BuildCommand) && !made.all? { |name| File.exist?(File.join(__dir__, name)) }
  abort "atfork.gemspec: gem build cannot make #{made.join(" and ")}; build the gem by script/gem"
end

Gem::Specification.new do |spec|
  spec.name = "atfork"
  spec.version = File.read(File.join(__dir__, "../../meson.build"))[/^ *version: '([^']+)'/, 1]
  spec.summary = "Hooks around fork that each run exactly once in every new process"
  spec.description = <<~TEXT
    Repairs a process after fork: connections, caches, random numbers, background threads.  Hooks run before a
    fork, after it in the parent, and in the child, each exactly once, also in forks that C code makes and in
    Process.daemon.  Brings its own copy of libatfork, and uses an installed one where pkg-config finds it.
  TEXT
  spec.author = "The authors of libatfork"
  spec.homepage = File.read(File.join(__dir__, "../../meson.build"))[/^home = '([^']+)'/, 1]
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir.chdir(__dir__) { Dir["atfork.rb", "atfork/*.{rb,c,h}", "sig/*.rbs"] | made }
  spec.extensions = ["atfork/extconf.rb"]
  spec.require_paths = ["."]
  spec.metadata = { "rubygems_mfa_required" => "true" }
end

# SPDX-License-Identifier: MIT
# The specification of a gem that the distribution has installed: nothing is left to build.
specification = Gem::Specification.load(ARGV.fetch(0)) or abort "no specification in #{ARGV[0]}"
specification.extensions = []
specification.files = []
puts specification.to_ruby

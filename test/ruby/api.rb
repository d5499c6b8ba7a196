# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# What is written about the API, against the API: RBS signatures, the guide, and YARD's comments.
#
#   api.rb SOURCE     SOURCE: bindings/ruby
require "atfork/random"
require "open3"
require_relative "tap"

SOURCE = ARGV.shift

# sig/atfork.rbs, as far as it can be told without RBS: which methods there are, with which parameters.
class TestSignatures < ForkTest
  # class => method => its first signature's parameters
  def signatures
    scope = []
    File.readlines(File.join(SOURCE, "sig", "atfork.rbs")).each_with_object({}) do |line, found|
      scope.push(Regexp.last_match(1)) if line =~ /^ *(?:module|class|interface) (\w+)/
      scope.pop if line.match?(/^ *end$/)
      next unless line =~ /^ *(?:def (?:self\.)?(\w+[?=]?): (.*)|attr_(reader|accessor) (\w+):)/

      of_class = found[scope.last] ||= {}
      of_class[Regexp.last_match(1) || Regexp.last_match(4)] = Regexp.last_match(2) || "() -> untyped"
      of_class["#{Regexp.last_match(4)}="] = "(untyped) -> untyped" if Regexp.last_match(3) == "accessor"
    end
  end

  # Those of the class that are not only inherited, nor for the binding itself.  An Info is frozen: nothing sets its fields.
  def methods_of(scope)
    return AtFork.singleton_methods(false).map(&:to_s) if scope == "AtFork"
    return (AtFork::Random.instance_methods(false) | AtFork::Random.singleton_methods(false)).map(&:to_s) if scope == "Random"

    AtFork.const_get(scope).instance_methods(false).map(&:to_s).reject { |name| scope == "Info" && name.end_with?("=") }
  end

  %w[AtFork Hook Symbol PerProcess Random Info].each do |scope|
    scenario "declared"
    define_method("test_signatures_of_#{scope}") do
      assert_equal methods_of(scope).sort, (signatures.fetch(scope).keys - ["initialize"]).sort
    end
  end

  def test_keywords_of_register
    keywords = AtFork.method(:register).parameters.map { |_, name| name.to_s }
    assert_equal keywords, signatures["AtFork"]["register"].scan(/\?(\w+):/).flatten
  end

  def test_required_parameters
    signatures["AtFork"].each do |name, signature|
      required = AtFork.method(name).parameters.count { |kind, _| kind == :req }
      next if name == "register_after_fork" # a callable, or a block

      assert_equal signature[/\A(?:\[\w+\] )?\(([^)]*)\)/, 1].split(", ").count { |part| !part.start_with?("?") }, required, name
    end
  end
end

# doc/ruby.md
class TestGuide < ForkTest
  def test_the_files_that_it_names_are_there
    root = File.expand_path("../..", SOURCE)
    names = File.read(File.join(root, "doc", "ruby.md")).scan(%r{`((?:[\w.-]+/)+[\w.-]+)`}).flatten
    refute_empty names
    assert_empty(names.reject { |name| File.exist?(File.join(root, name)) })
  end
end

# YARD's comments.
class TestComments < ForkTest
  def test_all_is_documented
    files = Dir[File.join(SOURCE, "atfork.rb"), File.join(SOURCE, "atfork", "*.rb")] - [File.join(SOURCE, "atfork", "extconf.rb")]
    options = %w[--list-undoc --no-save --no-cache --hide-api private]
    text, status = Open3.capture2e("yard", "stats", *options, *files)
    assert_predicate status, :success?, text
    assert_includes text, "100.00% documented"
    refute_includes text, "[warn]"
  rescue Errno::ENOENT
    skip "YARD is not installed"
  end
end

run_tests

# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Promise 16: no child closes or finalises what per_process made in its parent.
require "fileutils"
require "tempfile"
require "tmpdir"

class TestInherited < ForkTest
  UNLINK = Fiddle.dlopen(nil)["unlink"]

  def setup
    super
    @dir = Dir.mktmpdir
  end

  def teardown
    super
  ensure
    FileUtils.remove_entry(@dir)
  end

  def path(name)
    File.join(@dir, name).tap { |path| File.write(path, "") unless File.exist?(path) }
  end

  # Memory of C, whose free function unlinks a file.
  def pointer(path)
    text = Fiddle::Pointer.new(Fiddle.malloc(path.bytesize + 1))
    text[0, path.bytesize + 1] = "#{path}\0"
    Fiddle::Pointer.new(text.to_i, 0, UNLINK)
  end

  def self.unlinker(path)
    proc { FileUtils.rm_f(path) }
  end

  # Objects of each kind that shows when it is finalised, one inside the other.
  def things
    object = Object.new.tap { |it| ObjectSpace.define_finalizer(it, self.class.unlinker(path("object"))) }
    file = File.open(path("file"), "w").tap { |it| it.write("written once") }
    [{ object => Struct.new(:file, :pointer).new(file, pointer(path("pointer"))) }]
  end

  # Made on a stack of its own, so that the collector finds nothing of it on this one.
  def per_process
    Thread.new { AtFork.per_process { AtFork.generation.zero? ? things : [] }.tap(&:value) }.value
  end

  def collect
    10_000.times { Object.new }
    3.times { GC.start }
  end

  def left
    { object: File.exist?(path_of("object")), pointer: File.exist?(path_of("pointer")), bytes: File.size(path_of("file")) }
  end

  def path_of(name)
    File.join(@dir, name)
  end

  UNTOUCHED = { object: true, pointer: true, bytes: 0 }.freeze
  FINALISED = { object: false, pointer: false, bytes: 12 }.freeze

  WAYS.each do |way|
    scenario "value-untouched"
    define_method("test_not_collected_by_#{way}") do
      value = per_process
      in_child(way) do
        assert_empty value.value
        collect
        assert_equal UNTOUCHED, left
      end
      assert_equal UNTOUCHED, left
      assert_equal 1, value.value.size
    end

    define_method("test_not_collected_when_nobody_has_the_per_process_by_#{way}") do
      @value = per_process
      in_child(way) do
        @value = nil
        collect
        assert_equal UNTOUCHED, left
      end
      assert_equal UNTOUCHED, left
    end
  end

  # Ruby finalises what there is as it ends, and not as exit! does.
  def ended(pid)
    assert_equal 0, Scenario.wait(pid)
    assert_equal UNTOUCHED, left
  end

  scenario "value-untouched"
  def test_not_finalised_at_exit
    value = per_process
    ended(fork {})
    ended(fork { value.value })
    ended(fork { value.reset.value })
    assert_equal 1, value.value.size
  end

  def test_not_finalised_when_it_raises
    @value = per_process
    pid = fork do
      $stderr.reopen(File::NULL)
      raise "as a worker may"
    end
    assert_equal 1, Scenario.wait(pid)
    assert_equal UNTOUCHED, left
  end

  # With a hook, Ruby is told of it: else `exit` may wait for threads that are gone.
  def test_not_finalised_at_exit_after_a_fork_by_c
    AtFork.register_after_fork {}
    @value = per_process
    pid = Scenario.fork_with_gvl("fork")
    exit if pid.zero?
    ended(pid)
  end

  scenario "value-of-grandparent"
  def test_not_finalised_three_generations_below
    value = per_process
    pid = fork do
      value.value
      passed(fork do
        passed(fork { finish { collect } })
        collect
        exit(PASSED)
      end)
    end
    ended(pid)
    assert_equal 1, value.value.size
  end

  # What the child has made is its own.
  scenario "value-of-its-own"
  def test_its_own_is_finalised_in_a_child
    value = AtFork.per_process { AtFork.generation.zero? ? nil : things }
    assert_nil value.value
    assert_equal 0, Scenario.wait(fork { value.value })
    assert_equal FINALISED, left
  end

  def test_its_own_is_finalised_in_the_parent
    value = per_process
    Thread.new { value.reset }.join
    collect
    assert_equal FINALISED, left
  end

  def test_others_are_finalised_at_exit
    @value = per_process
    other = File.join(@dir, "other")
    pid = fork { @file = File.open(other, "w").tap { |file| file.write("data") } }
    ended(pid)
    assert_equal "data", File.read(other)
  end

  # What a block, a class or a hook refers to belongs to all of the program.
  scenario "end-finalises"
  def test_what_is_shared_is_finalised_at_exit
    other = File.join(@dir, "other")
    log = File.open(other, "w")
    holder = Class.new { define_singleton_method(:log) { log } }
    @value = AtFork.per_process { [-> { log }, holder, holder.method(:log), AtFork.register_after_fork { log }, Thread.current, 1, nil, :a] }
    @value.value
    assert_equal 0, Scenario.wait(fork { log.write("data") })
    assert_equal "data", File.read(other)
  end

  def test_standard_output_is_flushed
    text = in_ruby(<<~RUBY)
      value = AtFork.per_process { [$stdout, Class.new, -> { $stdout }] }
      value.value
      Process.wait(fork { value.value; print "from the child" })
    RUBY
    assert_equal "from the child", text
  end

  # The collector moves what is kept, and what a hook's owner holds.
  def test_survives_compaction
    discarded = []
    value = AtFork.per_process(discard: ->(old) { discarded << old }) { "made in #{AtFork.generation}" }
    kept = AtFork.per_process { "kept" }
    owner = Object.new
    # On a stack of its own, which pins nothing.
    hook = Thread.new do
      [value, kept].each(&:value)
      AtFork.register(owner: owner, key: +"a key", child: -> { discarded << :owner })
    end.value
    compact
    assert_equal ["made in 0", "a key"], [value.value, hook.key]
    in_child do
      compact
      kept.reset
      assert_equal "made in 1", value.value
      assert_equal [:owner, "made in 0"], discarded
      compact
      in_child { assert_equal ["made in 2", [:owner, "made in 0", :owner, "made in 1"]], [value.value, discarded] }
    end
    assert owner
  end

  def compact
    GC.compact
    room = RUBY_VERSION < "3.2" ? :double_heap : :expand_heap
    GC.verify_compaction_references(room => true, toward: :empty)
  end

  def test_survives_gc_stress
    value = AtFork.per_process(discard: ->(_) {}) { +"made" }
    owner = Object.new
    GC.stress = true
    2.times { AtFork.register(owner: owner, key: :k, child: -> { owner }) }
    AtFork.register_lock(Thread::Mutex.new)
    value.value
    in_child { assert_equal "made", value.reset.value }
    assert_equal "made", value.value
  ensure
    GC.stress = false
  end

  def test_a_temporary_file_stays
    file = AtFork.per_process { Tempfile.new("inherited", @dir).tap { |it| it.write("in the buffer") } }
    file.value
    assert_equal 0, Scenario.wait(fork { file.value })
    assert_path_exists file.value.path
    assert_equal 0, file.value.tap(&:path).then { |it| File.size(it.path) }
    file.value.close!
  end

  # With SQLite's journal on the disk, whoever closes the connection rolls back.
  scenario "value-transaction"
  def test_a_transaction_of_sqlite_goes_on
    require "sqlite3"
    database = AtFork.per_process { SQLite3::Database.new(path_of("log.db")) }
    parent = database.value
    parent.execute("CREATE TABLE t (n INTEGER, s TEXT)")
    parent.execute("PRAGMA cache_size=5")
    parent.execute("BEGIN")
    2000.times { |i| parent.execute("INSERT INTO t VALUES (?, ?)", [i, "x" * 500]) }
    assert_equal 0, Scenario.wait(fork { collect })
    in_child do
      database.value
      collect
    end
    parent.execute("COMMIT")
    assert_equal 2000, parent.get_first_value("SELECT count(*) FROM t")
  rescue LoadError
    skip "the gem sqlite3 is not installed"
  end
end

# What is inherited, where the user says what becomes of it.
class TestDiscard < ForkTest
  scenario "discard-once"
  def test_once_before_the_new_value_is_made
    trace = []
    value = AtFork.per_process(discard: ->(old) { trace << [:discard, old] }) do
      trace << :make
      AtFork.lineage
    end
    assert_equal "0", value.value
    WAYS.each do |way|
      in_child(way) do
        2.times { assert_equal AtFork.lineage, value.value }
        value.reset.value
        assert_equal [:make, [:discard, "0"], :make, :make], trace
      end
    end
    assert_equal [:make], trace
  end

  scenario "discard-not-ones-own"
  def test_not_of_what_was_never_made_nor_in_the_parent
    discarded = []
    value = AtFork.per_process(discard: ->(old) { discarded << old }) { AtFork.lineage }
    in_child do
      value.value
      assert_empty discarded
    end
    value.value
    value.reset.value
    assert_empty discarded
  end

  scenario "discard-after-reset"
  def test_of_a_value_reset_in_the_child
    discarded = []
    value = AtFork.per_process(discard: ->(old) { discarded << old }) { AtFork.lineage }
    value.value
    in_child do
      value.reset.value
      assert_equal ["0"], discarded
    end
  end

  scenario "discard-each-generation"
  def test_in_each_generation
    discarded = []
    value = AtFork.per_process(discard: ->(old) { discarded << old }) { AtFork.generation }
    value.value
    in_child do
      in_child do
        value.value
        assert_equal [0], discarded
        in_child do
          value.value
          assert_equal [0, 2], discarded
        end
      end
      value.value
      assert_equal [0], discarded
    end
  end

  # After that, it is an object as any other.
  def test_what_is_discarded_is_let_go_of
    weak = ObjectSpace::WeakMap.new
    value = AtFork.per_process(discard: ->(_) {}) { Object.new.tap { |it| weak[it] = true } }
    Thread.new { value.value && nil }.join
    in_child do
      Thread.new { value.value && nil }.join
      Thread.new { 100.times { value.reset } }.join
      5.times { GC.start }
      assert_equal 0, weak.size
    end
  end

  scenario "discard-error"
  def test_an_error_goes_to_on_error_and_the_value_is_made
    seen = nil
    value = AtFork.per_process(discard: ->(_) { raise "will not go" }) { AtFork.lineage }
    value.value
    in_child do
      AtFork.on_error = ->(error, hook, phase) { seen = [error.message, hook, phase] }
      assert_equal AtFork.lineage, value.value
      assert_equal ["will not go", nil, :discard], seen
    end
  end

  def test_an_error_is_written_to_stderr
    value = AtFork.per_process(discard: ->(_) { raise "will not go" }) { AtFork.lineage }
    value.value
    text = stderr_of do
      AtFork.on_error = nil
      assert_equal AtFork.lineage, value.value
    end
    assert_match(/\Aatfork: error in discard of a per_process: .*will not go/, text)
  end

  def test_exit_in_it
    value = AtFork.per_process(discard: ->(_) { exit(PASSED) }) { Scenario.exit(1) unless AtFork.generation.zero? }
    value.value
    passed(fork { value.value })
  end
end

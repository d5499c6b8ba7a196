# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Workers that write to a database.  Their parent has a transaction open when it forks them.
#
#   ruby connection.rb plain             without libatfork: workers inherit the transaction, and their rows are lost
#   ruby connection.rb atfork COUNTER    with libatfork; COUNTER is a library with a C-side hook
require "sqlite3"
require "tmpdir"

mode, counter = ARGV
hooks_run = 0

show_process = lambda do |name|
  puts format("row\tRuby\t%<name>s\t%<generation>d\t%<lineage>s\t%<seed>016x\t%<hooks>d",
              name: name, generation: AtFork.generation, lineage: AtFork.lineage, seed: AtFork.seed(42), hooks: hooks_run)
end

Dir.mktmpdir do |dir|
  connect = -> { SQLite3::Database.new(File.join(dir, "log.db")) }
  connect.call.execute("CREATE TABLE log (worker INTEGER)")

  if mode == "atfork"
    require "atfork"
    connection = AtFork.per_process(&connect)
    AtFork.register_after_fork { hooks_run += 1 }
    AtFork.register(name: "counter", child: AtFork.symbol(counter, "counter_after_fork"))
    show_process.call("parent")
    database = -> { connection.value }
  else
    inherited = connect.call
    database = -> { inherited }
  end

  database.call.execute("BEGIN")
  1.upto(3) do |number|
    $stdout.flush
    pid = fork do
      database.call.execute("INSERT INTO log VALUES (?)", [number])
      puts "  worker #{number} has written a row#{" in its parent's transaction" if database.call.transaction_active?}"
      show_process.call("worker #{number}") if mode == "atfork"
      $stdout.flush
      exit!(0)
    end
    Process.wait(pid)
  end
  database.call.execute("ROLLBACK")
  rows = connect.call.get_first_value("SELECT count(*) FROM log")
  puts "  #{rows} of 3 rows are in the database"
end

# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# What Puma serves for puma.rb: who answers, and which hooks have run there.
require "atfork"
require "json"
require "sqlite3"

# What an application keeps that must not be shared: loaded by Puma's master, and asked by requests of its workers.
module Workload
  Connection = Struct.new(:database, :lineage)

  # Who ran the hook, and who opened a connection: of this process, and of those above it.
  RAN = []
  OPENED = []

  CONNECTION = AtFork.per_process do
    OPENED << AtFork.lineage
    database = SQLite3::Database.new(ENV.fetch("WORKLOAD_DATABASE"))
    database.busy_timeout = 20_000
    Connection.new(database, AtFork.lineage)
  end

  AtFork.register_after_fork { RAN << AtFork.lineage }
  AtFork.register_after_fork { srand(AtFork.seed(42)) }

  # A request: writes a row, and says who has.
  def self.call(_env)
    connection = CONNECTION.value
    connection.database.execute("INSERT INTO requests VALUES (?)", [AtFork.lineage])
    body = JSON.generate(pid: Process.pid, generation: AtFork.generation, lineage: AtFork.lineage, place: AtFork.place,
                         seed: AtFork.seed(42), ran: RAN, opened: OPENED, connection: connection.lineage)
    [200, { "Content-Type" => "application/json" }, [body]]
  end
end

# The master has one too, which no worker may use.
Workload::CONNECTION.value.database.execute("CREATE TABLE IF NOT EXISTS requests (lineage TEXT)")

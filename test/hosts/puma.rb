# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# A cluster of Puma's, with requests going on while its workers change.  Speaks the Test Anything Protocol.
require "json"
require "net/http"
require "sqlite3"
require "timeout"
require "tmpdir"

# Seconds until a wait is given up; script/test says how many times as long things take here as on an idle machine.
PATIENCE = 60 * ENV.fetch("ATFORK_TEST_SLOWNESS", "1").to_i

# Waits for what a server tells in its own time.
def wait_until(what)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PATIENCE
  until yield
    raise "waited in vain: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

    sleep 0.01
  end
end

# A server, on a port of 127.0.0.1 that it picks itself.
class Server
  attr_reader :port

  def initialize(mode, database)
    output, input = IO.pipe
    env = { "WORKLOAD_MODE" => mode, "WORKLOAD_DATABASE" => database }
    @pid = Process.spawn(env, "puma", "-C", File.join(__dir__, "puma", "config.rb"), out: input, err: input)
    input.close
    @lines = []
    @reader = Thread.new { output.each_line { |line| @lines << line } }
    wait_until("a port") { @port = @lines.join[%r{Listening on http://127\.0\.0\.1:(\d+)}, 1] }
    wait_until("four workers") { booted(0).size == 4 }
  end

  # The workers that have started in a phase: pids.
  def booted(phase)
    @lines.join.scan(/Worker \d+ \(PID: (\d+)\) booted in [\d.]+s, phase: #{phase}/).flatten.map(&:to_i)
  end

  def signal(name)
    Process.kill(name, @pid)
  end

  def stop
    signal("TERM")
    Timeout.timeout(PATIENCE) { Process.wait(@pid) }
    @reader.join
    $?.success?
  rescue Timeout::Error
    signal("KILL")
    raise
  end

  def output
    @lines.join
  end
end

# Asks, one request after the other, until it is told to stop.
class Client
  attr_reader :answers, :failures

  def initialize(port)
    @answers = []
    @failures = []
    @going = true
    @thread = Thread.new { ask(port) while @going }
  end

  def stop
    @going = false
    @thread.join
  end

  private

  # Once: what is asked again, as the answer did not come, may be written twice.
  def ask(port)
    http = Net::HTTP.new("127.0.0.1", port)
    http.max_retries = 0
    response = http.get("/")
    raise "#{response.code}: #{response.body}" unless response.is_a?(Net::HTTPOK)

    @answers << JSON.parse(response.body, symbolize_names: true)
  rescue StandardError => e
    @failures << e
  end
end

# One mode of Puma's: what happened, and what must hold.
class Run
  CLIENTS = 2

  # change:: is given the server and a lambda that says which processes have answered
  def initialize(mode, dir, &change)
    @mode = mode
    @database = File.join(dir, "#{mode}.db")
    server = Server.new(mode, @database)
    @clients = Array.new(CLIENTS) { Client.new(server.port) }
    pids = -> { answers.map { |answer| answer[:pid] }.uniq }
    wait_until("answers of all four") { pids.call.size >= 4 }
    change.call(server, pids)
  ensure
    @clients&.each(&:stop)
    @ended_well = server&.stop
    @output = server&.output
  end

  def answers
    @clients.flat_map { |client| client.answers.dup }
  end

  def failures
    @clients.flat_map(&:failures)
  end

  # The last answer of each worker.
  def workers
    answers.group_by { |answer| answer[:pid] }.transform_values(&:last).values
  end

  # Each worker loads the library by itself, and nothing tells it which one it is.
  def checks_of_guesses
    {
      "the workers' places are guesses" => workers.all? { |w| w[:place] == "unknown" && w[:lineage] == "0" },
      "each says so, once" => @output.scan("this process does not know its place").size == workers.size,
      "ends well" => @ended_well,
    }.transform_keys { |name| "#{@mode}: #{name}" }
  end

  # ended:: how many workers did meanwhile.  Puma may close a connection that such a worker has accepted, with no answer:
  # without hooks, too, in 6 of 40 runs of fork_worker on a busy machine.
  def checks(generations, place = "forked", ended: 0)
    rows = SQLite3::Database.new(@database).get_first_value("SELECT count(*) FROM requests")
    {
      "no failed request beyond Puma's own" =>
        failures.size <= ended * CLIENTS && failures.all? { |e| e.is_a?(SystemCallError) || e.is_a?(EOFError) },
      "no write is lost" => (answers.size..answers.size + failures.size).cover?(rows),
      "generations #{generations.join(" and ")}" => workers.map { |w| w[:generation] }.uniq.sort == generations,
      "each knows its place" => workers.all? { |w| w[:place] == place },
      "hooks once in each of #{workers.size} workers" => workers.all? { |w| ran_once?(w) },
      "a connection for each" => workers.all? { |w| w[:connection] == w[:lineage] && w[:opened].count(w[:lineage]) == 1 },
      "distinct lineages" => workers.map { |w| w[:lineage] }.uniq.size == workers.size,
      "distinct seeds" => workers.map { |w| w[:seed] }.uniq.size == workers.size,
      "ends well" => @ended_well,
    }.transform_keys { |name| "#{@mode}: #{name}" }
  end

  def diagnostics
    (failures.map(&:inspect) + workers.map(&:inspect) + @output.lines).map { |line| "# #{line.chomp}" }
  end

  private

  # In it, and in each process above it.
  def ran_once?(worker)
    worker[:ran].uniq.size == worker[:generation] && worker[:ran].size == worker[:generation] &&
      worker[:ran].last == worker[:lineage]
  end
end

number = 0
failed = false
report = lambda do |run, checks|
  checks.each do |name, good|
    puts "#{good ? "ok" : "not ok"} #{number += 1} - #{name}"
    failed ||= !good
  end
  puts run.diagnostics unless checks.values.all?
end

Dir.mktmpdir do |dir|
  run = Run.new("preload_app", dir) do |server, pids|
    Process.kill("KILL", server.booted(0).first)
    wait_until("a worker in the killed one's place") { server.booted(0).size == 5 }
    wait_until("its answer") { pids.call.include?(server.booted(0).last) }
  end
  report.call(run, run.checks([1], ended: 1))

  # Workers load the application themselves; the configuration, and with it the hooks, is the master's.
  run = Run.new("phased_restart", dir) do |server, pids|
    server.signal("USR1")
    wait_until("four new workers") { server.booted(1).size == 4 }
    wait_until("their answers") { (server.booted(1) - pids.call).empty? }
  end
  report.call(run, run.checks([1], ended: 4))

  # Worker 0 forks the others, again when it has warmed up.
  run = Run.new("fork_worker", dir) do |server, pids|
    server.signal("URG")
    wait_until("three new workers") { server.booted(1).size == 3 }
    wait_until("their answers") { (server.booted(1) - pids.call).empty? }
  end
  report.call(run, run.checks([1, 2], ended: 4))

  run = Run.new("late", dir) {}
  report.call(run, run.checks_of_guesses)

  # The configuration gives each worker its index.
  run = Run.new("adopt", dir) {}
  report.call(run, run.checks([1], "adopted"))

  # The new master takes a place below the old one.
  run = Run.new("restart", dir) do |server, pids|
    server.signal("USR2")
    wait_until("four new workers") { server.booted(0).size == 8 }
    wait_until("their answers") { (server.booted(0) - pids.call).empty? }
  end
  report.call(run, run.checks([1, 2], ended: 4))
end
puts "1..#{number}"
exit(!failed)

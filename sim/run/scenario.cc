#include "sim/run/scenario.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "meta/codec.h"
#include "meta/keys.h"
#include "runtime/submit.h"
#include "sim/consumer.h"
#include "sim/group_member.h"
#include "sim/producer.h"
#include "sim/run/admin.h"
#include "sim/run/cluster.h"
#include "sim/run/manifests.h"
#include "sim/run/nemesis.h"

namespace weir::sim {

using runtime::Task;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr base::Duration heal_patience = minutes(5);   // until the broker serves again
constexpr base::Duration calm_patience = minutes(40);  // for the batches that are still missing
constexpr base::Duration producers_patience = minutes(8);
constexpr base::Duration verify_patience = minutes(5);
constexpr base::Duration stop_patience = minutes(2);
constexpr base::Duration sweep_patience = minutes(20);  // two looks at the store's names, garbage_delay apart

// What the broker itself counts and must have met in a run of many seeds: recovery's cases, failures handled, ways of reading.
constexpr std::string_view required_cases[] = {
    "weir_log_recovered_partitions_total{case=\"empty\"}",
    "weir_log_recovered_partitions_total{case=\"objects_only\"}",
    "weir_log_recovered_partitions_total{case=\"tail\"}",
    "weir_log_recovered_partitions_total{case=\"dead_only\"}",
    "weir_log_recovered_partitions_total{case=\"tail_and_dead\"}",
    "weir_log_recovered_partitions_total{case=\"quarantined\"}",
    "weir_merge_jobs_total",
    "weir_merge_interrupted_total",
    "weir_split_jobs_total",
    "weir_split_partitions_total",
    "weir_split_interrupted_total",
    "weir_upload_held_total",
    "weir_wal_recovered_groups_total",
    "weir_wal_torn_groups_total",
    "weir_wal_recovered_after_hole_total",
    "weir_wal_recovered_stubs_total",
    "weir_wal_write_failures_total",
    "weir_wal_reappends_total",
    "weir_wal_given_up_groups_total",
    "weir_wal_no_space_total",
    "weir_wal_segments_retired_total",
    "weir_wal_segments_recycled_total",
    "weir_wal_admission_waits_total",
    "weir_wal_admission_refused_total",
    "weir_wal_read_corrupt_total",
    "weir_log_duplicates_total",
    "weir_group_loads_total",
    "weir_group_loaded_records_total",
    "weir_group_generations_total",
    "weir_group_commits_total",
    "weir_group_failed_writes_total",
    "weir_log_voids_total",
    "weir_log_outcome_unknown_total",
    "weir_log_not_admitted_total",
    "weir_log_read_bytes_total{from=\"group\"}",
    "weir_log_read_bytes_total{from=\"wal\"}",
    "weir_log_read_bytes_total{from=\"store\"}",
    "weir_cache_disk_hits_total",
    "weir_cache_disk_found_blocks_total",
    "weir_cache_disk_recycled_slabs_total",
    "weir_cache_disk_damaged_blocks_total",
    "weir_cache_disk_timeouts_total",
    "weir_cache_disk_aside_total",
    "weir_cache_disk_full_total",
};

class Scenario {
 public:
  Scenario(const Plan& plan, bool print_trace)
      : plan_(plan),
        world_(plan.seed, print_trace),
        cluster_(world_, plan),
        workload_(world_, cluster_.address()),
        clients_(cluster_.client_host, {.name = "clients", .shard_count = 1, .may_crash = false}),
        nemesis_(cluster_, workload_, plan),
        admin_(workload_),
        rng_(world_.rng("scenario")) {
    for (std::size_t i = 0; i < plan.transactional_producers; ++i) {
      cluster_.transactions.push_back(std::make_unique<TransactionWriter>(workload_, i));
    }
    if (plan.first_offset > 0) admin_.before_it_is_known = [this](const TopicInfo& topic) { return grow_old(topic); };
  }

  Verdict run();

 private:
  void start_clients();
  void start_members(runtime::Runtime& doors);
  std::int64_t grow_old(const TopicInfo& topic);
  void watch_store();
  void watch_log();
  void active();
  void heal();
  void judge();
  void verify_everything(const char* when);
  void stop_cleanly();
  void restart_without_wal();
  void expect_no_orphans();
  [[nodiscard]] std::string first_orphan() const;
  template <class Start>
  bool run_client(Start start, base::Duration patience);
  Task<void> run_producer(std::unique_ptr<SimProducer> producer);
  Task<void> run_consumer(std::unique_ptr<SimConsumer> consumer);
  Task<void> verify_all(runtime::Runtime* doors, bool read_committed, std::uint64_t* failed);
  Task<void> run_member(std::unique_ptr<SimGroupMember> member);
  Task<void> probe_all(runtime::Runtime* doors);
  bool run_until(const std::function<bool()>& condition, base::Duration patience);
  [[nodiscard]] bool hopeless() const { return !workload_.history.violations().empty(); }

  Plan plan_;
  World world_;
  Cluster cluster_;
  Workload workload_;
  Process clients_;
  Nemesis nemesis_;
  Admin admin_;
  Rng rng_;
  std::size_t producers_running_ = 0;
  std::size_t consumers_running_ = 0;
  std::size_t members_running_ = 0;
};

bool Scenario::run_until(const std::function<bool()>& condition, base::Duration patience) {
  return world_.run_until([&] { return hopeless() || condition(); }, world_.now() + patience) && !hopeless();
}

runtime::detail::Carrier detach(Task<void> task) {
  co_await task;
  task = Task<void>();
}

Task<void> stay() { co_await runtime::sleep_for(std::chrono::hours(100'000)); }

Task<void> Scenario::run_producer(std::unique_ptr<SimProducer> producer) {
  ++producers_running_;
  co_await producer->run();
  --producers_running_;
}

Task<void> Scenario::run_consumer(std::unique_ptr<SimConsumer> consumer) {
  ++consumers_running_;
  co_await consumer->run();
  --consumers_running_;
}

Task<void> Scenario::run_member(std::unique_ptr<SimGroupMember> member) {
  ++members_running_;
  co_await member->run();
  --members_running_;
}

void Scenario::start_members(runtime::Runtime& doors) {
  for (std::size_t i = 0; i < plan_.group_members; ++i) {
    const GroupMemberOptions options{.name = fmt::format("member-{}", i),
                                     .group = fmt::format("group-{}", i % 2),
                                     .slot = static_cast<std::int32_t>(i / 2),
                                     .is_static = i % 3 == 2};
    clients_.current()->shard(0).deliver(
        [this, &doors, options] { detach(run_member(std::make_unique<SimGroupMember>(workload_, doors, options))); });
  }
}

void Scenario::start_clients() {
  clients_.start([](runtime::Runtime&) { return stay(); });
  runtime::Runtime& doors = clients_.current()->runtime();
  SimReactor& reactor = clients_.current()->shard(0);
  reactor.deliver([this, &doors] { detach(admin_.run(&doors, plan_.topics_come_and_go)); });
  std::vector<ProducerOptions> producers;
  for (std::size_t i = 0; i < plan_.idempotent_producers; ++i) {
    producers.push_back(
        {.name = fmt::format("idempotent-{}", i), .idempotent = true, .requests_in_flight_max = rng_.between(1, 5)});
  }
  for (std::size_t i = 0; i < plan_.plain_producers; ++i) {
    producers.push_back({.name = fmt::format("plain-{}", i),
                         .idempotent = false,
                         .requests_in_flight_max = rng_.between(1, 3),
                         .acks = static_cast<std::int16_t>(rng_.percent(50) ? 1 : -1),
                         .damaged_percent = 2});
  }
  if (plan_.acks_zero_producer) {
    producers.push_back(
        {.name = "unheard", .idempotent = false, .requests_in_flight_max = 1, .acks = 0, .pause_tail = seconds(2)});
  }
  for (ProducerOptions& options : producers) {
    options.version = static_cast<std::int16_t>(rng_.between(3, 13));
    options.request_timeout = rng_.between(std::chrono::milliseconds(500), seconds(25));
    reactor.deliver(
        [this, &doors, options] { detach(run_producer(std::make_unique<SimProducer>(workload_, doors, options))); });
  }
  for (std::size_t i = 0; i < plan_.consumers; ++i) {
    ConsumerOptions options{.name = fmt::format("consumer-{}", i),
                            .version = static_cast<std::int16_t>(rng_.between(4, 17)),
                            .sessions = rng_.percent(60),
                            .read_committed = i < plan_.committed_consumers};
    reactor.deliver(
        [this, &doors, options] { detach(run_consumer(std::make_unique<SimConsumer>(workload_, doors, options))); });
  }
  start_members(doors);
}

// A log start of its own, which the broker learns of at its next start.
std::int64_t Scenario::grow_old(const TopicInfo& topic) {
  for (std::int32_t index = 0; index < topic.partition_count; ++index) {
    const std::string key = meta::keys::log_start(Workload::partition_of(topic, index));
    cluster_.keyspace.put_from_outside(key, meta::encode_log_start(key, model::Offset(plan_.first_offset)));
  }
  if (cluster_.broker_process.running()) cluster_.broker_process.kill();
  return plan_.first_offset;
}

// P4: nothing that the keyspace still names is deleted, nothing before readers have had their time, and nothing is ever overwritten.
void Scenario::watch_store() {
  cluster_.bucket.on_change([this](const StoreEvent& event) {
    nemesis_.stored(event);
    if (event.kind == StoreEvent::Kind::overwritten)
      workload_.history.violation("the object " + event.key + " was overwritten");
    if (event.kind != StoreEvent::Kind::removed) return;
    if (named_by_manifest(cluster_, event.key) == Named::yes)
      workload_.history.violation(
          fmt::format("the object {} was deleted although its partition's manifest names it", event.key));
    for (const auto& [key, entry] : cluster_.keyspace.entries()) {
      if (key.starts_with("obj/") && entry.value.find(event.key) != std::string::npos) {
        workload_.history.violation(fmt::format("the object {} was deleted although {} names it", event.key, key));
      }
      const base::Duration since = world_.now() - entry.changed_at;
      const base::Duration least = std::chrono::milliseconds(plan_.garbage_delay_ms);
      if (key.starts_with("gc/") && since < least && entry.value.find(event.key) != std::string::npos) {
        workload_.history.violation(fmt::format("the object {} was deleted {} ms after it was unlinked: a reader may need it",
                                                event.key,
                                                std::chrono::duration_cast<std::chrono::milliseconds>(since).count()));
      }
    }
  });
}

void Scenario::active() {
  cluster_.keep_running(true);
  run_until([this] { return cluster_.ready(); }, heal_patience);
  run_until([this] { return admin_.first_topics_made(); }, minutes(2));
  nemesis_.start();
  run_until([] { return false; }, plan_.active);
  // A store that is down most of the time may leave too little time to produce: faults end before patience does.
  const auto enough = [this] { return workload_.history.acked_batches() >= plan_.acked_batches_least; };
  if (run_until(enough, plan_.active_more) || hopeless()) return;
  nemesis_.stop();
  if (!run_until(enough, calm_patience) && !hopeless()) {
    workload_.history.violation(fmt::format("only {} batches were acked", workload_.history.acked_batches()));
  }
}

void Scenario::heal() {
  nemesis_.stop();
  workload_.producing = false;
  admin_.stop();
  // What was quarantined for a flipped bit, or a read that failed in recovery, or is just being read with one, is judged anew.
  const bool quarantines = workload_.lenient || plan_.weights[static_cast<std::size_t>(Action::disk_errors)] > 0;
  if (quarantines && cluster_.broker_process.running()) cluster_.broker_process.kill();
  if (!run_until([this] { return cluster_.ready(); }, heal_patience)) {
    workload_.history.violation("the broker does not come up after all faults have ended: " + cluster_.last_refusal());
  }
  if (!run_until([this] { return producers_running_ == 0; }, producers_patience)) {
    workload_.history.violation(fmt::format("{} producers still wait after all faults have ended", producers_running_));
  }
  for (const auto& writer : cluster_.transactions) writer->wind_up();
  const auto all_ended = [this] {
    return std::ranges::all_of(cluster_.transactions, [](const auto& w) { return w->ended(); });
  };
  if (!run_until(all_ended, producers_patience) && !hopeless()) {
    workload_.history.violation("a transaction cannot be ended after all faults have ended");
  }
  if (!run_until([this] { return members_running_ == 0; }, minutes(3))) {
    workload_.history.violation(fmt::format("{} group members still wait after all faults have ended", members_running_));
  }
  run_until([this] { return admin_.ended(); }, minutes(5));
}

Task<void> Scenario::verify_all(runtime::Runtime* doors, bool read_committed, std::uint64_t* failed) {
  const base::MonoTime deadline = world_.now() + verify_patience;
  SimConsumer reader(
      workload_, *doors,
      {.name = "verifier", .version = 13, .jump_percent = 0, .max_wait_ms = 100, .read_committed = read_committed});
  for (TopicInfo* topic : workload_.live_topics()) {
    for (std::int32_t index = 0; index < topic->partition_count; ++index) {
      const History::Known before = workload_.history.known(Workload::partition_of(*topic, index));
      if (co_await reader.verify(topic, index, deadline)) {
        // Nothing is open any more.
        const model::Offset stable = workload_.history.known(Workload::partition_of(*topic, index)).last_stable;
        if (!read_committed || topic->deleted || stable >= before.high_watermark) continue;
        workload_.history.violation(
            fmt::format("{}-{}: every transaction has ended, but the last stable offset stays at {} of {}", topic->name, index,
                        stable.value(), before.high_watermark.value()));
        continue;
      }
      ++*failed;
      workload_.history.violation(
          fmt::format("{}-{} cannot be read whole: {}", topic->name, index, to_string(reader.last_error())));
    }
  }
  co_await reader.close();
  if (workload_.lenient) co_return;  // the offsets may be in what is quarantined
  SimGroupMember asking(workload_, *doors, {.name = "offset-verifier", .group = "group-0"});
  if (!co_await asking.verify(world_.now() + verify_patience)) {
    ++*failed;
    workload_.history.violation("committed offsets cannot be read");
  }
  co_await asking.close();
}

template <class Start>
bool Scenario::run_client(Start start, base::Duration patience) {
  bool ended = false;
  clients_.current()->shard(0).deliver([&start, &ended] {
    [](Task<void> task, bool* end) -> runtime::detail::Carrier {
      co_await task;
      task = Task<void>();
      *end = true;
    }(start(), &ended);
  });
  // `ended` is referred to by the task: a timeout is a violation, after which nothing of it runs any more.
  return world_.run_until([&ended] { return ended; }, world_.now() + patience);
}

void Scenario::verify_everything(const char* when) {
  std::uint64_t failed = 0;
  runtime::Runtime& doors = clients_.current()->runtime();
  bool ended = run_client([&] { return verify_all(&doors, false, &failed); }, verify_patience + minutes(2));
  if (ended && !hopeless()) {
    ended = run_client([&] { return verify_all(&doors, true, &failed); }, verify_patience + minutes(2));
  }
  if (!ended || failed > 0) workload_.history.violation(fmt::format("{}: {} partitions could not be read whole", when, failed));
}

Task<void> Scenario::probe_all(runtime::Runtime* doors) {
  workload_.producing = true;
  SimProducer probe(
      workload_, *doors,
      {.name = "probe", .idempotent = true, .requests_in_flight_max = 1, .pause_tail = std::chrono::milliseconds(50)});
  world_.after(seconds(5), [this] { workload_.producing = false; });
  co_await probe.run();
}

void Scenario::stop_cleanly() {
  cluster_.keep_running(false);
  cluster_.request_stop();
  if (!run_until([this] { return !cluster_.broker_process.running(); }, stop_patience)) {
    workload_.history.violation("a clean stop does not end");
    return;
  }
  if (!cluster_.last_stop_uploaded_everything())
    workload_.history.violation("a clean stop with a healthy store left something in the WAL");
}

void Scenario::restart_without_wal() {
  Disk& disk = cluster_.broker_host.disk();
  for (const std::string& file : disk.files_below("/data/wal"))
    ENSURE(disk.remove(file, false).has_value(), "removing {}", file);
  cluster_.keep_running(true);
  if (!run_until([this] { return cluster_.ready(); }, heal_patience)) {
    workload_.history.violation("the broker does not start without wal/ after a clean stop: " + cluster_.last_refusal());
  }
}

// An object that neither a commit nor a manifest nor the list of garbage names; the cluster's claim stands at the top.
std::string Scenario::first_orphan() const {
  for (const auto& [key, object] : cluster_.bucket.objects()) {
    if (key.find('/') == std::string::npos) continue;
    const bool named = std::ranges::any_of(
        cluster_.keyspace.entries(), [&key](const auto& entry) { return entry.second.value.find(key) != std::string::npos; });
    if (!named && named_by_manifest(cluster_, key) == Named::no) return key;
  }
  return {};
}

// P7: what a lost reply or a crash left in the store is found and deleted.
void Scenario::expect_no_orphans() {
  workload_.consuming = false;
  run_until([this] { return consumers_running_ == 0; }, minutes(3));
  // Looked at now and then: the look costs a pass over all names.
  for (int look = 0; look < 20 && !hopeless() && !first_orphan().empty(); ++look)
    run_until([] { return false; }, sweep_patience / 20);
  if (const std::string orphan = first_orphan(); !orphan.empty() && !hopeless()) {
    workload_.history.violation("nothing names the object " + orphan + ", and nothing deletes it");
  }
}

void Scenario::judge() {
  verify_everything("after healing");
  if (hopeless()) return;
  runtime::Runtime& doors = clients_.current()->runtime();
  if (!run_client([&] { return probe_all(&doors); }, minutes(3)) && !hopeless()) {
    workload_.history.violation("a batch produced after healing was not acked");
  }
  if (hopeless()) return;
  run_until([this] { return cluster_.bucket.late_requests() == 0; }, late_put_max + minutes(10));
  if (rng_.percent(30)) {
    cluster_.broker_host.lose_power();
    run_until([this] { return cluster_.ready(); }, heal_patience);
    verify_everything("after a last power loss");
  }
  if (hopeless()) return;
  stop_cleanly();
  if (hopeless()) return;
  restart_without_wal();
  if (hopeless()) return;
  verify_everything("from objects alone");
  if (!hopeless()) expect_no_orphans();
}

void Scenario::watch_log() {
  cluster_.broker_process.on_log([this](std::string_view line) {
    nemesis_.heard(line);
    Workload::Sealed& sealed = workload_.sealed;
    if (sealed.process == 0) return;
    if (sealed.process != cluster_.broker_process.current()->id()) {
      sealed = {};  // another one runs by now
    } else if (line.find("this session is sealed") != std::string_view::npos) {
      sealed.known_at = std::min(sealed.known_at, world_.now());
    }
  });
}

Verdict Scenario::run() {
  watch_store();
  watch_log();
  start_clients();
  active();
  if (!hopeless()) heal();
  if (!hopeless()) judge();
  workload_.consuming = false;
  if (!hopeless()) run_until([this] { return consumers_running_ == 0; }, minutes(3));
  Verdict verdict;
  verdict.seed = plan_.seed;
  verdict.violations = workload_.history.violations();
  verdict.trace_hash = world_.trace().hash();
  verdict.checkpoints = world_.trace().checkpoints();
  verdict.events = world_.events_run();
  verdict.acked_batches = workload_.history.acked_batches();
  verdict.acked_records = workload_.history.acked_records();
  verdict.observed_batches = workload_.history.observed_batches();
  verdict.fetches = workload_.fetches;
  verdict.committed_transactions = workload_.history.transactions().committed_count();
  verdict.aborted_transactions = workload_.history.transactions().aborted_count();
  verdict.hidden_batches = workload_.history.transactions().hidden_count();
  verdict.commits = workload_.groups.commits;
  verdict.generations = workload_.groups.generations();
  verdict.starts = cluster_.broker_process.starts();
  verdict.virtual_seconds = std::chrono::duration<double>(world_.now() - world_start).count();
  verdict.faults = world_.faults();
  const auto counters = cluster_.broker_process.counters();
  for (const std::string_view name : required_cases) {
    const auto it = counters.find(std::string(name));
    verdict.faults.count_case(name, it == counters.end() ? 0 : it->second);
  }
  const auto& lines = cluster_.broker_process.log_lines();
  verdict.last_log_lines.assign(lines.begin(), lines.end());
  return verdict;
}

}  // namespace

Verdict run_scenario(const Plan& plan, bool print_trace) {
  // Never destroyed: killed processes refer to it for ever.
  auto* const scenario = new Scenario(plan, print_trace);
  return scenario->run();
}

}  // namespace weir::sim

// The coordinator over a real log: durability, restarts, checkpoints, loads, unknown outcomes; on virtual time.
#include "groups/coordinator.h"

#include "log/testing/log_fixture.h"

namespace weir::groups {
namespace {

using log::testing::Cluster;
using log::testing::id;
using namespace std::chrono_literals;
using runtime::Task;

constexpr std::int32_t partition_count = 4;

/// One run of a broker: its log and its coordinator.
class BrokerRun {
 public:
  explicit BrokerRun(Cluster& cluster, Options options = {})
      : cluster_(cluster), broker(cluster), topics(cluster.manual.doors) {
    broker.start({.cleanup_delete = false, .cleanup_compact = true});
    meta::TopicRecord record;
    record.name = std::string(topic_name);
    record.id = id<model::TopicId>(1);
    record.partition_count = partition_count;
    if (!cluster.run(exists(this))) broker.create_topic(1, partition_count);
    EXPECT_TRUE(cluster.run(fill(this, record)));
    options.limits.initial_rebalance_delay_ms = 10;
    coordinator = std::make_unique<Coordinator>(cluster.manual.doors, *broker.log, topics, options);
    EXPECT_TRUE(cluster.run(begin(this)));
  }
  ~BrokerRun() { EXPECT_TRUE(cluster_.run(end(this))); }
  BrokerRun(const BrokerRun&) = delete;
  BrokerRun& operator=(const BrokerRun&) = delete;

  static Commit commit_of(std::int64_t offset, std::int32_t partitions = 1, std::string note = "") {
    Commit event;
    for (std::int32_t p = 0; p < partitions; ++p) {
      event.items.push_back(
          {.at = {.topic = "t", .partition = model::PartitionIndex(p)}, .offset = model::Offset(offset + p), .metadata = note});
    }
    return event;
  }
  Errc commit(const std::string& group, std::int64_t offset, std::int32_t partitions = 1, const std::string& note = "") {
    const ListAnswer answer = cluster_.run(coordinator->commit(group, commit_of(offset, partitions, note), true));
    return answer.error != Errc::none ? answer.error : answer.each.front();
  }
  /// Begins a commit; its answer appears when it comes.
  std::shared_ptr<std::optional<ListAnswer>> begin_commit(const std::string& group, std::int64_t offset) {
    auto into = std::make_shared<std::optional<ListAnswer>>();
    cluster_.manual.doors.shards[0]->post(
        [this, into, group, offset] { scope.spawn("commit", commit_into(this, group, offset, into)); });
    cluster_.manual.drain();
    return into;
  }
  /// A new member; its answer appears when it comes.
  std::shared_ptr<std::optional<JoinAnswer>> begin_join(const std::string& group) {
    auto into = std::make_shared<std::optional<JoinAnswer>>();
    cluster_.manual.doors.shards[0]->post([this, into, group] { scope.spawn("join", join_into(this, group, into)); });
    cluster_.manual.drain();
    return into;
  }
  void end_waits() {
    cluster_.run(end_waits_of(this));
    cluster_.manual.drain();
  }
  std::int64_t offset(const std::string& group, std::int32_t partition = 0) {
    OffsetQuestion question{.offsets = std::vector<TopicIndex>{{.topic = "t", .partition = model::PartitionIndex(partition)}}};
    const OffsetAnswer answer = cluster_.run(coordinator->offsets(group, question));
    EXPECT_EQ(answer.error, Errc::none) << to_string(answer.error);
    return answer.items.empty() ? -2 : answer.items.front().offset.value();
  }
  log::PartitionState log_state(const std::string& group) {
    return broker.state(
        {.topic = id<model::TopicId>(1), .partition = model::PartitionIndex(partition_of(group, partition_count))});
  }
  std::uint64_t counted(const runtime::MetricDecl& decl) { return cluster_.manual.metrics.counter(decl, {}).value(); }

 private:
  static Task<bool> exists(BrokerRun* run) {
    auto snapshot = co_await run->broker.meta.load();
    co_return snapshot && !snapshot->topics.empty();
  }
  static Task<bool> fill(BrokerRun* run, meta::TopicRecord record) {
    std::vector<meta::TopicEntry> entries;
    entries.push_back({.record = std::move(record), .config = std::make_shared<const model::TopicConfig>()});
    co_await run->topics.fill(std::move(entries));
    co_return true;
  }
  static Task<bool> begin(BrokerRun* run) {
    co_await run->coordinator->start(base::MonoTime{});
    co_await run->coordinator->open_partitions(runtime::Reactor::current().now() + 60s);
    co_return true;
  }
  static Task<bool> end(BrokerRun* run) {
    co_await run->coordinator->stop();
    co_await run->scope.stop();
    co_return true;
  }
  static Task<bool> end_waits_of(BrokerRun* run) {
    co_await run->coordinator->end_waits();
    co_return true;
  }
  static Task<void> join_into(BrokerRun* run, std::string group, std::shared_ptr<std::optional<JoinAnswer>> into) {
    Join join{.rebalance_timeout_ms = 60000, .session_timeout_ms = 60000, .protocol_type = "consumer", .fresh_id = "m"};
    join.protocols.push_back({.name = "range", .metadata = {}});
    *into = co_await run->coordinator->join(std::move(group), std::move(join));
  }
  static Task<void> commit_into(BrokerRun* run, std::string group, std::int64_t offset,
                                std::shared_ptr<std::optional<ListAnswer>> into) {
    *into = co_await run->coordinator->commit(std::move(group), commit_of(offset), true);
  }
  Cluster& cluster_;

 public:
  log::testing::Broker broker;
  meta::TopicTable topics;
  std::unique_ptr<Coordinator> coordinator;
  runtime::Scope scope;
};

TEST(Coordinator, PartitionsAreKafkasChoice) {
  const std::pair<std::string_view, std::int32_t> known[] = {
      {"", 0}, {"group", 47}, {"my-group", 12}, {"\u00fcn\u00ef", 21}, {"\U0001F30Ag", 7}, {"polygenelubricants", 0}};
  for (const auto& [group, partition] : known) EXPECT_EQ(partition_of(group, 50), partition) << group;
}

TEST(Coordinator, OffsetsSurviveRestarts) {
  Cluster cluster(2);
  for (int round = 0; round < 4; ++round) {
    BrokerRun run(cluster);
    for (int g = 0; g < 20; ++g) {
      const std::string group = fmt::format("g{}", g);
      EXPECT_EQ(run.offset(group), round == 0 ? -1 : round * 100 + g) << group;
      ASSERT_EQ(run.commit(group, (round + 1) * 100 + g), Errc::none);
      EXPECT_EQ(run.offset(group), (round + 1) * 100 + g);
    }
    if (round == 1) run.broker.upload();
  }
}

// P1: neither the answer nor what others read may come before the record is durable.
TEST(Coordinator, ACommitIsAnsweredAndShownOnlyOnceDurable) {
  Cluster cluster;
  BrokerRun run(cluster);
  ASSERT_EQ(run.commit("g", 1), Errc::none);
  run.broker.wal->automatic = false;
  const auto pending = run.begin_commit("g", 2);
  EXPECT_FALSE(pending->has_value());
  EXPECT_EQ(run.offset("g"), 1);
  run.broker.wal->complete_all();
  cluster.manual.drain();
  ASSERT_TRUE(pending->has_value());
  EXPECT_EQ((*pending)->each.front(), Errc::none);
  EXPECT_EQ(run.offset("g"), 2);
  run.broker.wal->automatic = true;
}

// librdkafka puts a commit aside that is answered with an error of the coordinator, and sends it again behind newer ones.
TEST(Coordinator, ACleanStopStoresWhatIsCommittedAndLetsNobodyWait) {
  Cluster cluster;
  BrokerRun run(cluster);
  ASSERT_EQ(run.commit("g", 1), Errc::none);
  const auto joining = run.begin_join("members");
  run.broker.wal->automatic = false;
  const auto pending = run.begin_commit("g", 2);
  run.end_waits();
  ASSERT_TRUE(joining->has_value());
  EXPECT_EQ((*joining)->error, Errc::not_coordinator);
  const auto late = run.begin_join("members");
  ASSERT_TRUE(late->has_value());
  EXPECT_EQ((*late)->error, Errc::not_coordinator);
  const auto behind = run.begin_commit("g", 3);
  EXPECT_FALSE(pending->has_value()) << "not durable yet";
  run.broker.wal->complete_all();
  cluster.manual.drain();
  ASSERT_TRUE(pending->has_value() && behind->has_value());
  EXPECT_EQ((*pending)->each.front(), Errc::none);
  EXPECT_EQ((*behind)->each.front(), Errc::none);
  run.broker.wal->automatic = true;
  cluster.manual.advance(10s);  // the waits that were ended come due, and nobody is there to be told
  EXPECT_EQ(run.offset("g"), 3);
}

TEST(Coordinator, AWriteOfUnknownOutcomeIsReadAgain) {
  Cluster cluster;
  BrokerRun run(cluster);
  ASSERT_EQ(run.commit("g", 1), Errc::none);
  run.broker.wal->automatic = false;
  const auto pending = run.begin_commit("g", 2);
  cluster.manual.advance(6s);
  ASSERT_TRUE(pending->has_value()) << "past offsets.commit.timeout.ms";
  EXPECT_EQ((*pending)->error, Errc::unavailable);
  const auto refused = cluster.run(run.coordinator->offsets("g", {}));
  EXPECT_EQ(refused.error, Errc::loading) << "what is in the log is not decided yet";
  run.broker.wal->complete_all();
  run.broker.wal->automatic = true;
  cluster.manual.advance(10s);
  EXPECT_EQ(run.offset("g"), 2) << "it was stored after all";
  EXPECT_EQ(run.commit("g", 3), Errc::none);
}

// With the store down a partition opens without its footers: that is no empty log.
TEST(Coordinator, GroupsWaitForTheFootersOfTheirLog) {
  Cluster cluster;
  {
    BrokerRun run(cluster);
    ASSERT_EQ(run.commit("g", 7), Errc::none);
    run.broker.upload();
  }
  cluster.store.down = true;
  BrokerRun run(cluster);
  EXPECT_EQ(cluster.run(run.coordinator->offsets("g", {})).error, Errc::loading);
  EXPECT_EQ(run.commit("g", 8), Errc::loading);
  cluster.store.down = false;
  cluster.manual.advance(60s);
  EXPECT_EQ(run.offset("g"), 7);
}

TEST(Coordinator, TheLogStaysShort) {
  Cluster cluster;
  Options options;
  options.checkpoint_bytes_min = 16384;
  const std::string note(200, 'n');
  {
    BrokerRun run(cluster, options);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(run.commit(i % 7 == 0 ? "idle" : "busy", i, 2, note), Errc::none);
    cluster.manual.advance(1s);
    EXPECT_GT(run.counted(checkpoints_total), 4U);
    for (const char* group : {"idle", "busy"}) {
      const log::PartitionState state = run.log_state(group);
      EXPECT_GT(state.log_start.value(), 0) << group;
      EXPECT_LT(state.high_watermark - state.log_start, 200) << group;
    }
    EXPECT_EQ(run.offset("busy", 1), 1000);
    EXPECT_EQ(run.offset("idle", 1), 995);
  }
  const std::uint64_t before = cluster.manual.metrics.counter(loaded_bytes_total, {}).value();
  BrokerRun run(cluster, options);
  EXPECT_EQ(run.offset("busy", 1), 1000);
  EXPECT_EQ(run.offset("idle", 1), 995);
  EXPECT_LT(run.counted(loaded_bytes_total) - before, 4 * 2 * 16384U);
}

// 1,000 groups of 10 partitions: a load reads what is live, not what was ever written.
TEST(Coordinator, AThousandGroupsLoadFromTheirLiveState) {
  Cluster cluster(2);
  Options options;
  options.checkpoint_bytes_min = 65536;
  {
    BrokerRun run(cluster, options);
    for (int round = 0; round < 12; ++round) {
      for (int g = 0; g < 1000; ++g) ASSERT_EQ(run.commit(fmt::format("group-{}", g), round, 10), Errc::none);
    }
    cluster.manual.advance(1s);
  }
  const std::uint64_t bytes = cluster.manual.metrics.counter(loaded_bytes_total, {}).value();
  const std::uint64_t records = cluster.manual.metrics.counter(loaded_records_total, {}).value();
  BrokerRun run(cluster, options);
  EXPECT_EQ(run.offset("group-999", 9), 20);
  EXPECT_LT(run.counted(loaded_records_total) - records, 10'000U * 6);
  EXPECT_LT(run.counted(loaded_bytes_total) - bytes, 6U << 20U);
  const Coordinator::List list = cluster.run(run.coordinator->list());
  EXPECT_EQ(list.groups.size(), 1000U);
}

TEST(Coordinator, MembersWaitAndAreAnsweredAcrossShards) {
  Cluster cluster(2);
  BrokerRun run(cluster);
  Join request;
  request.client_id = "c";
  request.rebalance_timeout_ms = 10'000;
  request.session_timeout_ms = 10'000;
  request.protocol_type = "consumer";
  request.protocols = {{.name = "range", .metadata = {}}};
  for (int g = 0; g < 8; ++g) {
    request.fresh_id = fmt::format("m{}", g);
    const std::string group = fmt::format("g{}", g);
    const JoinAnswer joined = cluster.run(run.coordinator->join(group, request));
    ASSERT_EQ(joined.error, Errc::none);
    Sync sync{.member_id = joined.member_id, .generation = joined.generation};
    sync.assignments[joined.member_id] = bytes::Buffer::copy_of(std::string_view("all"));
    EXPECT_EQ(cluster.run(run.coordinator->sync(group, sync)).assignment.text(), "all");
    const Description description = cluster.run(run.coordinator->describe(group));
    EXPECT_EQ(description.state, State::stable);
    EXPECT_EQ(description.members.at(0).assignment.text(), "all");
  }
  // Nobody says anything more: sessions end, groups become empty, by the reactor's own timers.
  cluster.manual.advance(11s);
  for (const Listed& listed : cluster.run(run.coordinator->list()).groups) EXPECT_EQ(listed.state, State::empty);
}

TEST(Coordinator, GroupsExpireAndLeaveNothing) {
  Cluster cluster;
  Options options;
  options.limits.offsets_retention_ms = 60'000;
  options.retention_check = 10s;
  BrokerRun run(cluster, options);
  ASSERT_EQ(run.commit("old", 1), Errc::none);
  cluster.manual.advance(45s);
  ASSERT_EQ(run.commit("young", 1), Errc::none);
  cluster.manual.advance(30s);
  const auto list = cluster.run(run.coordinator->list());
  ASSERT_EQ(list.groups.size(), 1U);
  EXPECT_EQ(list.groups.front().group, "young");
  EXPECT_EQ(run.offset("old"), -1);
}

TEST(Coordinator, GroupsThatCameToNothingAreForgotten) {
  Cluster cluster;
  BrokerRun run(cluster);
  Join request;
  request.client_id = "c";
  request.rebalance_timeout_ms = request.session_timeout_ms = 10'000;
  request.protocol_type = "consumer";
  request.id_required = true;
  request.protocols = {{.name = "range", .metadata = {}}};
  for (int g = 0; g < 100; ++g) {
    request.fresh_id = fmt::format("m{}", g);
    EXPECT_EQ(cluster.run(run.coordinator->join(fmt::format("g{}", g), request)).error, Errc::member_id_required);
  }
  EXPECT_EQ(cluster.run(run.coordinator->list()).groups.size(), 100U);
  cluster.manual.advance(11s);
  EXPECT_TRUE(cluster.run(run.coordinator->list()).groups.empty());
}

}  // namespace
}  // namespace weir::groups

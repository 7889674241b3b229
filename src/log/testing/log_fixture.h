// log/testing/log_fixture.h: a Log on a fake WAL, memory keyspace and memory store, with restarts.
// Contract:   one Cluster outlives any number of Brokers; a new Broker starts from what the last one's WAL holds. Everything
//             runs on virtual time in one thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "keyspace/memory.h"
#include "keyspace/testing/faulty_keyspace.h"
#include "log/log.h"
#include "log/metrics_decl.h"
#include "log/testing/fake_wal.h"
#include "log/testing/flaky_store.h"
#include "model/records.h"
#include "object/format.h"
#include "object/object_key.h"
#include "runtime/scope.h"
#include "runtime/testing/manual_runtime.h"
#include "store/memory.h"

namespace weir::log::testing {

template <class Id>
Id id(std::uint64_t n) {
  return Id{model::Uuid::from_random(0x5566778811223344ULL, n)};
}

inline model::TopicPartition partition(std::uint64_t topic = 1, std::int32_t index = 0) {
  return {.topic = id<model::TopicId>(topic), .partition = model::PartitionIndex(index)};
}

inline constexpr base::WallMs test_time = 1'800'000'000'000;

struct BatchOptions {
  std::int64_t producer = -1;
  std::int16_t epoch = 0;
  std::int32_t sequence = 0;
  bool transactional = false;
  std::vector<base::WallMs> timestamps = {test_time};  ///< one record each
  std::string value = "v";
  model::CompressionType compression = model::CompressionType::none;
};
inline bytes::Buffer batch(BatchOptions options = {}) {
  std::vector<model::RecordInput> records;
  for (const base::WallMs timestamp : options.timestamps)
    records.push_back({.key = "k", .value = options.value, .timestamp = timestamp});
  model::BatchSpec spec{.compression = options.compression};
  if (options.producer >= 0) {
    spec.producer_id = model::ProducerId(options.producer);
    spec.producer_epoch = model::ProducerEpoch(options.epoch);
    spec.base_sequence = model::Sequence(options.sequence);
    spec.transactional = options.transactional;
  }
  return *model::build_batch(spec, records);
}
/// `count` records in one batch.
inline std::vector<base::WallMs> times(std::size_t count, base::WallMs at = test_time) {
  return std::vector<base::WallMs>(count, at);
}

/// What outlives a broker.
class Cluster {
 public:
  explicit Cluster(std::uint32_t shard_count = 1)
      : manual(shard_count),
        memory(keyspace::make_memory_keyspace(*manual.doors.shards[0])),
        keyspace(*memory),
        objects(*manual.doors.shards[0]),
        store(objects) {}
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster() {
    manual.run(stop(memory.get()));
    manual.drain();
  }
  template <class T>
  T run(runtime::Task<T> task) {
    return manual.run(std::move(task));
  }

  runtime::testing::ManualRuntime manual;
  std::unique_ptr<keyspace::LocalKeyspace> memory;
  keyspace::testing::FaultyKeyspace keyspace;
  store::MemoryStore objects;
  FlakyStore store;
  const model::ClusterId cluster_id = id<model::ClusterId>(1);
  std::uint64_t next_session = 1;
  std::uint64_t next_object = 1;
  std::unique_ptr<FakeWal> last_wal;  ///< of the broker that ended

 private:
  static runtime::Task<bool> stop(keyspace::Keyspace* keyspace) {
    co_await keyspace->stop();
    co_return true;
  }
};

/// One run of a broker's log.
class Broker {
 public:
  explicit Broker(Cluster& cluster, Options options = {}, store::ObjectStore* other_store = nullptr)
      : cluster_(cluster), meta(cluster.manual.doors, cluster.keyspace) {
    session.id = id<model::SessionId>(100 + cluster.next_session);
    session.node = model::NodeId(1);
    session.wal = id<model::WalId>(cluster.next_session++);
    wal = std::make_unique<FakeWal>(cluster.manual.doors, session.id);
    if (cluster.last_wal) wal->inherit(*cluster.last_wal);
    log = make_log(cluster.manual.doors, *wal, meta, other_store != nullptr ? *other_store : cluster.store, cluster.cluster_id,
                   options);
  }
  ~Broker() {
    cluster_.run(stop(this));
    cluster_.manual.drain();
    cluster_.last_wal = std::move(wal);
  }
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  void start(model::TopicConfig config = {}) {
    ASSERT_TRUE(cluster_.run(begin(this, config)));
    cluster_.manual.drain();
  }
  void create_topic(std::uint64_t topic = 1, std::int32_t partitions = 1, model::TopicConfig config = {}) {
    ASSERT_TRUE(cluster_.run(create(this, topic, partitions, config)));
  }
  void delete_topic(std::uint64_t topic = 1) { ASSERT_TRUE(cluster_.run(remove(this, topic))); }

  /// Starts a produce; its answer appears in `outcome` when it comes.
  struct Produced {
    bytes::Buffer records;
    std::optional<ProduceOutcome> outcome;
    [[nodiscard]] Errc error() const { return outcome ? outcome->error : Errc::cancelled; }
    [[nodiscard]] std::int64_t offset() const {
      return outcome && outcome->error == Errc::none ? outcome->base_offset.value() : -1;
    }
  };
  /// The guard that a client's transactional batch needs, as its coordinator's yes would give it; 0 for all others.
  std::uint64_t verify(const bytes::Buffer& records, model::TopicPartition to) {
    const auto header = model::peek_batch_header(records.view());
    if (!header || !header->is_transactional() || header->is_control()) return 0;
    return cluster_
        .run(log->begin_verification({.partition = to,
                                      .producer_id = header->producer_id,
                                      .epoch = header->producer_epoch,
                                      .base_sequence = header->base_sequence}))
        .guard;
  }
  std::shared_ptr<Produced> begin_produce(bytes::Buffer records, model::TopicPartition to = partition(),
                                          base::Duration timeout = std::chrono::seconds(30), bool coordinator = false) {
    auto produced = std::make_shared<Produced>();
    produced->records = std::move(records);
    const std::uint64_t guard = verify(produced->records, to);
    cluster_.manual.doors.shards[0]->post([this, produced, to, timeout, coordinator, guard] {
      scope.spawn("produce", produce_into(log.get(), produced,
                                          {.partition = to,
                                           .records = produced->records.view(),
                                           .deadline = cluster_.manual.now() + timeout,
                                           .coordinator = coordinator,
                                           .guard = guard}));
    });
    cluster_.manual.drain();
    return produced;
  }
  ProduceOutcome produce(bytes::Buffer records, model::TopicPartition to = partition(), bool coordinator = false) {
    return cluster_.run(log->produce({.partition = to,
                                      .records = records.view(),
                                      .deadline = cluster_.manual.now() + std::chrono::seconds(30),
                                      .coordinator = coordinator,
                                      .guard = verify(records, to)}));
  }
  ProduceOutcome end_transaction(std::int64_t producer, bool commit, std::int16_t epoch = 0, std::int32_t coordinator_epoch = 0,
                                 bool strict_epoch = false, model::TopicPartition in = partition()) {
    return cluster_.run(log->end_transaction({.partition = in,
                                              .producer_id = model::ProducerId(producer),
                                              .epoch = model::ProducerEpoch(epoch),
                                              .coordinator_epoch = coordinator_epoch,
                                              .commit = commit,
                                              .strict_epoch = strict_epoch,
                                              .deadline = cluster_.manual.now() + std::chrono::seconds(30)}));
  }
  ReadOutcome read(std::int64_t offset, std::uint32_t max_bytes = 1U << 20U, Isolation isolation = Isolation::read_uncommitted,
                   model::TopicPartition from = partition()) {
    return cluster_.run(log->read({.partition = from,
                                   .offset = model::Offset(offset),
                                   .max_bytes = max_bytes,
                                   .isolation = isolation,
                                   .deadline = cluster_.manual.now() + std::chrono::seconds(5)}));
  }
  PartitionState state(model::TopicPartition of = partition()) { return *cluster_.run(log->state(of)); }
  OffsetAndTimestamp query(OffsetQuery query, base::WallMs timestamp = -1, Isolation isolation = Isolation::read_uncommitted) {
    return cluster_.run(
        log->query_offset(partition(), query, timestamp, isolation, cluster_.manual.now() + std::chrono::seconds(5)));
  }
  Errc raise_log_start(std::int64_t to) { return cluster_.run(log->raise_log_start(partition(), model::Offset(to))); }
  /// Uploads what waits on every shard (one object each) and commits it.
  void upload(std::uint64_t max_bytes = UINT64_MAX) {
    for (std::uint32_t i = 0; i < cluster_.manual.doors.shards.size(); ++i) {
      ASSERT_TRUE(cluster_.manual.run(upload_shard(this, runtime::ShardId(i), max_bytes), runtime::ShardId(i)));
    }
  }
  /// Begins an upload of shard 0 that goes on beside what follows.
  void begin_upload(std::uint64_t max_bytes = UINT64_MAX) {
    cluster_.manual.doors.shards[0]->post([this, max_bytes] { scope.spawn("upload", finish_upload(this, max_bytes)); });
  }

 private:
  static runtime::Task<void> finish_upload(Broker* broker, std::uint64_t max_bytes) {
    EXPECT_TRUE(co_await upload_shard(broker, runtime::ShardId(0), max_bytes));
  }
  static runtime::Task<void> produce_into(Log* log, std::shared_ptr<Produced> produced, ProduceRequest request) {
    produced->outcome = co_await log->produce(request);
  }
  static runtime::Task<bool> stop(Broker* broker) {
    co_await broker->log->stop();
    co_await broker->scope.stop();
    broker->meta.stop();
    co_return true;
  }
  static runtime::Task<bool> begin(Broker* broker, model::TopicConfig config) {
    auto opened = co_await broker->meta.open_cluster(broker->cluster_.cluster_id);
    if (!opened) co_return false;
    auto before = co_await broker->meta.load();
    if (!before) co_return false;
    std::vector<meta::SessionRecord> former;
    for (const auto& old : before->sessions) {
      if (old.state == meta::SessionState::live) former.push_back(old);
    }
    auto begun = co_await broker->meta.begin_session(broker->session, former);
    if (!begun) co_return false;
    auto snapshot = co_await broker->meta.load();
    if (!snapshot) co_return false;
    auto found = co_await broker->wal->recover({}, {});
    const auto config_of = [config](const meta::TopicRecord&) { return config; };
    auto started = co_await broker->log->open(std::move(*snapshot), std::move(*found), config_of, {});
    if (!started) co_return false;
    auto running = co_await broker->wal->start({}, broker->log->sinks());
    co_return running.has_value();
  }
  static runtime::Task<bool> create(Broker* broker, std::uint64_t n, std::int32_t partitions, model::TopicConfig config) {
    meta::TopicRecord topic;
    topic.name = fmt::format("topic-{}", n);
    topic.id = id<model::TopicId>(n);
    topic.partition_count = partitions;
    auto created = co_await broker->meta.create_topic(topic);
    if (!created) co_return false;
    auto added = co_await broker->log->add_partitions(*created, config);
    co_return added.has_value();
  }
  static runtime::Task<bool> remove(Broker* broker, std::uint64_t n) {
    auto snapshot = co_await broker->meta.load();
    if (!snapshot) co_return false;
    const meta::TopicRecord topic = snapshot->topics.at(fmt::format("topic-{}", n));
    auto deleted = co_await broker->meta.delete_topic(topic);
    if (!deleted) co_return false;
    auto removed = co_await broker->log->remove_partitions(topic);
    co_return removed.has_value();
  }
  static runtime::Task<bool> upload_shard(Broker* broker, runtime::ShardId shard_id, std::uint64_t max_bytes) {
    Cluster& cluster = broker->cluster_;
    Shard& shard = broker->log->shard(shard_id);
    std::vector<UploadRun> runs = co_await shard.collect(max_bytes);
    if (runs.empty()) {
      shard.abandoned();
      co_return true;
    }
    meta::ObjectRecord record;
    record.session = broker->session.id;
    record.commit = model::CommitNumber(broker->meta.last_commit().value() + 1);
    record.id = id<model::ObjectId>(cluster.next_session * 1000 + record.commit.value());
    record.key = object::format_object_key(
        {.cluster = cluster.cluster_id, .incarnation = 1, .session = record.session, .commit = record.commit, .id = record.id});
    object::Builder builder({.cluster = cluster.cluster_id, .object = record.id}, record.session, record.commit);
    for (UploadRun& run : runs) {
      std::vector<object::InputBatch> batches;
      for (UploadRun::Batch& b : run.batches) {
        if (b.memory.empty()) {
          auto back = co_await shard.appender().read(b.place);
          if (!back) co_return false;
          b.memory = std::move(*back);
        }
        batches.push_back({.payload = b.memory,
                           .payload_crc = b.place.crc,
                           .base_offset = b.base_offset,
                           .end_offset = b.end_offset,
                           .max_timestamp = b.max_timestamp});
      }
      builder.add_partition(std::move(run.entry), std::move(batches));
    }
    auto finished = std::move(builder).finish();
    record.size_bytes = finished.size_bytes;
    record.footer_position = finished.footer_position;
    record.footer_bytes = finished.footer_bytes;
    record.footer_crc = finished.footer_crc;
    const store::PutOptions options{.if_none_match = true, .crc32c = finished.crc32c, .deadline = base::MonoTime::max()};
    auto put = co_await cluster.store.put(record.key, finished.body, options);
    if (!put) co_return false;
    auto committed = co_await broker->meta.commit_upload(record);
    if (!committed) co_return false;
    shard.committed(*committed, finished.footer.entries);
    co_return true;
  }

  Cluster& cluster_;

 public:
  meta::SessionRecord session;
  meta::Meta meta;
  std::unique_ptr<FakeWal> wal;
  std::unique_ptr<Log> log;
  runtime::Scope scope;
};

/// All records of a read, in order, as "offset=value" ("offset=marker" for control records).
inline std::vector<std::string> values(const ReadOutcome& outcome) {
  std::string all;
  for (const bytes::Buffer& buffer : outcome.batches) all += buffer.text();
  std::vector<std::string> out;
  for (std::size_t at = 0; at < all.size();) {
    const bytes::Bytes rest = bytes::as_bytes(std::string_view(all).substr(at));
    const auto header = model::check_batch(rest);
    EXPECT_TRUE(header) << (header ? "" : to_string(header.error()));
    if (!header) return out;
    auto reader = *model::RecordReader::open(rest);
    for (auto record = reader.next(); record && *record; record = reader.next()) {
      const std::string_view value = (*record)->value ? bytes::as_text(*(*record)->value) : "";
      out.push_back(fmt::format("{}={}", (*record)->offset.value(), header->is_control() ? "marker" : value));
    }
    at += header->size_bytes();
  }
  return out;
}

using Values = std::vector<std::string>;

}  // namespace weir::log::testing

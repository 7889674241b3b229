#include "log/log.h"

#include <algorithm>
#include <limits>

#include "log/opener.h"
#include "log/shard.h"
#include "log/wait.h"
#include "runtime/submit.h"

namespace weir::log {

std::string_view to_string(Errc errc) {
  switch (errc) {
    case Errc::none: return "none";
    case Errc::unknown_partition: return "unknown_partition";
    case Errc::not_owner: return "not_owner";
    case Errc::quarantined: return "quarantined";
    case Errc::not_appended: return "not_appended";
    case Errc::outcome_unknown: return "outcome_unknown";
    case Errc::corrupt_batch: return "corrupt_batch";
    case Errc::unsupported_magic: return "unsupported_magic";
    case Errc::message_too_large: return "message_too_large";
    case Errc::invalid_record: return "invalid_record";
    case Errc::invalid_timestamp: return "invalid_timestamp";
    case Errc::unsupported_compression: return "unsupported_compression";
    case Errc::out_of_order_sequence: return "out_of_order_sequence";
    case Errc::duplicate_sequence: return "duplicate_sequence";
    case Errc::invalid_producer_epoch: return "invalid_producer_epoch";
    case Errc::invalid_txn_state: return "invalid_txn_state";
    case Errc::coordinator_fenced: return "coordinator_fenced";
    case Errc::offset_out_of_range: return "offset_out_of_range";
    case Errc::store_unavailable: return "store_unavailable";
    case Errc::cancelled: return "cancelled";
  }
  return "unknown";
}

namespace {

class LogImpl final : public Log {
  struct alignas(64) WaitCounter {
    std::uint64_t next = 0;
  };

  // The table of owners is a function, the same on every shard without a lock: a topic's partitions go round the shards.
  [[nodiscard]] std::uint32_t shard_of(const model::TopicPartition& id) const {
    const std::size_t first = std::hash<model::TopicId>{}(id.topic);
    return static_cast<std::uint32_t>((first + static_cast<std::size_t>(id.partition.value())) % shards_.size());
  }
  [[nodiscard]] runtime::Reactor& reactor(std::size_t shard) { return *doors_.runtime.shards[shard]; }
  template <class Fn>
  auto on_shard(std::size_t index, Fn fn) {
    return runtime::submit_to(reactor(index),
                              [shard = shards_[index].get(), fn = std::move(fn)]() mutable { return fn(*shard); });
  }
  template <class Fn>
  auto on_owner(const model::TopicPartition& id, Fn fn) {
    return on_shard(shard_of(id), std::move(fn));
  }

 public:
  LogImpl(Doors doors, runtime::Metrics& metrics) : doors_(doors), cells_(metrics) {
    const auto count = static_cast<std::uint32_t>(doors_.runtime.shards.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      shards_.push_back(std::make_unique<ShardLog>(doors_, cells_, runtime::ShardId(i), count));
    }
    next_wait_.resize(count);
  }

  runtime::Task<base::Result<void>> open(meta::Snapshot snapshot, wal::RecoveredWal recovered,
                                         std::function<model::TopicConfig(const meta::TopicRecord&)> config_of,
                                         std::function<void(std::size_t, std::size_t)> progress) override;
  std::vector<wal::ShardSink*> sinks() override {
    std::vector<wal::ShardSink*> out;
    for (const auto& shard : shards_) out.push_back(shard.get());
    return out;
  }
  Shard& shard(runtime::ShardId id) override { return *shards_.at(id.value()); }
  runtime::Task<base::Result<void>> add_partitions(const meta::TopicRecord& topic, model::TopicConfig config) override {
    return add_all(topic.id, topic.partition_count, std::make_shared<const model::TopicConfig>(config), false);
  }
  runtime::Task<base::Result<void>> remove_partitions(const meta::TopicRecord& topic) override { return remove_all(topic.id); }
  runtime::Task<void> update_config(model::TopicId topic, model::TopicConfig config) override;
  runtime::Task<void> expire_producers_after(std::int64_t ms) override;
  runtime::Task<void> stop() override;
  [[nodiscard]] runtime::ShardId home(const model::TopicPartition& partition) const override {
    return runtime::ShardId(shard_of(partition));
  }

  runtime::Task<ProduceOutcome> produce(ProduceRequest request) override;
  runtime::Task<ProduceOutcome> end_transaction(EndTransaction request) override;
  runtime::Task<Verification> begin_verification(VerificationRequest request) override {
    return on_owner(request.partition, [request](ShardLog& shard) { return shard.begin_verification(request); });
  }
  runtime::Task<ProducersOutcome> producers(model::TopicPartition partition, base::MonoTime deadline) override {
    return on_owner(partition, [partition, deadline](ShardLog& shard) { return shard.producers(partition, deadline); });
  }
  runtime::Task<ReadOutcome> read(ReadRequest request) override {
    return on_owner(request.partition, [request](ShardLog& shard) { return shard.read(request); });
  }
  runtime::Task<runtime::Wake> wait_readable(std::vector<WaitPosition> positions, std::uint64_t min_bytes,
                                             base::MonoTime deadline, runtime::Stop* stop) override;
  runtime::Task<OffsetAndTimestamp> query_offset(model::TopicPartition partition, OffsetQuery query, base::WallMs timestamp,
                                                 Isolation isolation, base::MonoTime deadline) override {
    return on_owner(partition,
                    [=](ShardLog& shard) { return shard.query_offset(partition, query, timestamp, isolation, deadline); });
  }
  runtime::Task<base::Result<PartitionState>> state(model::TopicPartition partition) override {
    return on_owner(partition, [partition](ShardLog& shard) { return shard.state(partition); });
  }
  runtime::Task<EpochEnd> epoch_end(model::TopicPartition partition, model::LeaderEpoch epoch) override {
    return on_owner(partition, [partition, epoch](ShardLog& shard) { return shard.epoch_end(partition, epoch); });
  }
  runtime::Task<Errc> raise_log_start(model::TopicPartition partition, model::Offset to) override {
    return on_owner(partition, [partition, to](ShardLog& shard) { return shard.raise_log_start(partition, to); });
  }
  runtime::Task<Deleted> delete_records(model::TopicPartition partition, model::Offset to, base::MonoTime deadline) override {
    return on_owner(partition,
                    [partition, to, deadline](ShardLog& shard) { return shard.delete_records(partition, to, deadline); });
  }
  runtime::Task<base::Result<std::optional<Location>>> locate(model::TopicPartition partition, model::Offset offset) override {
    return on_owner(partition, [partition, offset](ShardLog& shard) { return shard.locate(partition, offset); });
  }

 private:
  runtime::Task<base::Result<void>> add_all(model::TopicId topic, std::int32_t count,
                                            std::shared_ptr<const model::TopicConfig> config, bool loading);
  runtime::Task<base::Result<void>> remove_all(model::TopicId topic);
  runtime::Task<void> release_unknown(std::vector<wal::Place> places, std::vector<model::TopicPartition> gone);
  using Evidence = std::map<model::TopicPartition, PartitionEvidence>;
  runtime::Task<void> fetch_and_adopt();
  runtime::Task<void> adopt_all(Evidence partitions, bool again);
  runtime::Task<void> wait_for_lost(Evidence waiting);

  Doors doors_;
  Cells cells_;
  std::vector<std::unique_ptr<ShardLog>> shards_;
  std::vector<WaitCounter> next_wait_;  ///< each touched on its own shard

  // Opening; shard 0.
  std::unique_ptr<runtime::Scope> scope_;
  std::unique_ptr<Opener> opener_;
  Evidence evidence_;
  runtime::Event opened_;
};

runtime::Task<base::Result<void>> LogImpl::open(meta::Snapshot snapshot, wal::RecoveredWal recovered,
                                                std::function<model::TopicConfig(const meta::TopicRecord&)> config_of,
                                                std::function<void(std::size_t, std::size_t)> progress) {
  ENSURE(!scope_, "the log is opened twice");
  scope_ = std::make_unique<runtime::Scope>();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    co_await on_shard(i, [](ShardLog& shard) { shard.start(); });
  }
  for (const auto& [name, topic] : snapshot.topics) {
    WEIR_CO_TRY(
        co_await add_all(topic.id, topic.partition_count, std::make_shared<const model::TopicConfig>(config_of(topic)), true));
    for (std::int32_t i = 0; i < topic.partition_count; ++i) {
      const model::TopicPartition id{.topic = topic.id, .partition = model::PartitionIndex(i)};
      PartitionEvidence& partition = evidence_[id];
      partition.id = id;
      if (const auto own = snapshot.own.find(id); own != snapshot.own.end()) partition.own = own->second;
      if (const auto start = snapshot.log_start.find(id); start != snapshot.log_start.end())
        partition.log_start = start->second;
    }
  }
  std::vector<wal::Place> unknown_places;
  std::vector<model::TopicPartition> unknown_partitions;
  for (wal::RecoveredRecord& record : recovered.records) {
    const auto found = evidence_.find(record.header.partition);
    if (found == evidence_.end()) {
      unknown_places.push_back(record.place);
    } else {
      found->second.records.push_back(record);
    }
  }
  for (const wal::Statement& statement : recovered.statements) {
    const auto found = evidence_.find(statement.partition);
    if (found == evidence_.end()) {
      unknown_partitions.push_back(statement.partition);
    } else {
      found->second.stated = std::max(found->second.stated.value_or(statement.high_watermark), statement.high_watermark);
    }
  }
  co_await release_unknown(std::move(unknown_places), std::move(unknown_partitions));
  std::vector<meta::ManifestRecord> manifests;
  for (auto& [id, manifest] : snapshot.manifests) manifests.push_back(std::move(manifest));
  opener_ = std::make_unique<Opener>(doors_, std::move(snapshot.objects), std::move(manifests), &scope_->stop_token(),
                                     std::move(progress));
  scope_->spawn("open partitions", fetch_and_adopt());
  const base::MonoTime deadline = runtime::Reactor::current().now() + doors_.options.open_wait_max;
  if (co_await opened_.wait(deadline, &scope_->stop_token()) == runtime::Wake::timeout) {
    doors_.runtime.log->warn("log", "the object store does not answer: partitions open as soon as it does");
  }
  co_return base::Result<void>();
}

runtime::Task<void> LogImpl::release_unknown(std::vector<wal::Place> places, std::vector<model::TopicPartition> gone) {
  co_await on_shard(0, [places = std::move(places), gone = std::move(gone)](ShardLog& shard) {
    shard.release_places(places);
    for (const model::TopicPartition& id : gone)
      shard.appender().uploaded_to(id, model::Offset(std::numeric_limits<std::int64_t>::max()));
  });
}

runtime::Task<void> LogImpl::fetch_and_adopt() {
  Evidence waiting;
  if (co_await opener_->fetch()) {
    opener_->distribute(evidence_);
    for (const auto& [id, partition] : evidence_) {
      if (!partition.unreadable_object.empty()) waiting.emplace(id, partition);
    }
    co_await adopt_all(std::exchange(evidence_, {}), false);
  }
  opened_.set();
  co_await wait_for_lost(std::move(waiting));
}

runtime::Task<void> LogImpl::adopt_all(Evidence partitions, bool again) {
  std::vector<std::vector<PartitionEvidence>> per_shard(shards_.size());
  for (auto& [id, partition] : partitions) per_shard[shard_of(id)].push_back(std::move(partition));
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    co_await on_shard(i, [list = std::move(per_shard[i]), again](ShardLog& shard) mutable {
      return again ? shard.adopt_again(std::move(list)) : shard.adopt_all(std::move(list));
    });
  }
}

// Partitions that an object may belong to which could not be read: a store that lists and reads inconsistently, a bucket that is
// restored while the broker runs. Nothing of them changes meanwhile.
runtime::Task<void> LogImpl::wait_for_lost(Evidence waiting) {
  while (!waiting.empty()) {
    if (co_await runtime::sleep_for(lost_recheck_pause, &scope_->stop_token()) == runtime::Wake::stopped) co_return;
    if (!co_await opener_->find_lost()) continue;
    for (auto& [id, partition] : waiting) {
      partition.uploaded.clear();
      partition.unreadable_object.clear();
    }
    opener_->distribute(waiting);
    Evidence found;
    for (auto at = waiting.begin(); at != waiting.end();) {
      const auto here = at++;
      if (here->second.unreadable_object.empty()) found.insert(waiting.extract(here));
    }
    co_await adopt_all(std::move(found), true);
  }
}

runtime::Task<base::Result<void>> LogImpl::add_all(model::TopicId topic, std::int32_t count,
                                                   std::shared_ptr<const model::TopicConfig> config, bool loading) {
  std::vector<std::vector<model::TopicPartition>> per_shard(shards_.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const model::TopicPartition id{.topic = topic, .partition = model::PartitionIndex(i)};
    per_shard[shard_of(id)].push_back(id);
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (per_shard[i].empty()) continue;
    co_await on_shard(i, [ids = std::move(per_shard[i]), config, loading](ShardLog& shard) {
      for (const model::TopicPartition& id : ids) shard.add_partition(id, config, loading);
    });
  }
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> LogImpl::remove_all(model::TopicId topic) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    co_await on_shard(i, [topic](ShardLog& shard) { shard.remove_topic(topic); });
  }
  co_return base::Result<void>();
}

runtime::Task<void> LogImpl::update_config(model::TopicId topic, model::TopicConfig config) {
  const auto shared = std::make_shared<const model::TopicConfig>(config);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    co_await on_shard(i, [topic, shared](ShardLog& shard) { shard.update_config(topic, shared); });
  }
}

runtime::Task<void> LogImpl::expire_producers_after(std::int64_t ms) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    co_await on_shard(i, [ms](ShardLog& shard) { shard.expire_producers_after(ms); });
  }
}

runtime::Task<void> LogImpl::stop() {
  if (!scope_) co_return;
  scope_->request_stop();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    co_await on_shard(i, [](ShardLog& shard) { return shard.stop(); });
  }
  co_await scope_->stop();
}

runtime::Task<ProduceOutcome> LogImpl::produce(ProduceRequest request) {
  Validated batch = validate_batch(request.records, request.coordinator);
  if (batch.error != Errc::none) {
    cells_.refused.add();
    co_return ProduceOutcome{.error = batch.error, .message = std::move(batch.message)};
  }
  co_return co_await on_owner(request.partition, [request, batch = std::move(batch)](ShardLog& shard) mutable {
    return shard.produce(request, std::move(batch));
  });
}

runtime::Task<ProduceOutcome> LogImpl::end_transaction(EndTransaction request) {
  const model::EndMarker marker{.commit = request.commit, .coordinator_epoch = request.coordinator_epoch};
  const auto batch =
      model::build_end_marker(request.producer_id, request.epoch, marker, runtime::Reactor::current().wall_now_ms());
  ENSURE(batch.has_value(), "a marker cannot be built: {}", batch.error().text);
  // The task borrows the marker's bytes until it is done, as produce() asks.
  co_return co_await produce({.partition = request.partition,
                              .records = batch->view(),
                              .deadline = request.deadline,
                              .coordinator = true,
                              .strict_epoch = request.strict_epoch});
}

runtime::Task<runtime::Wake> LogImpl::wait_readable(std::vector<WaitPosition> positions, std::uint64_t min_bytes,
                                                    base::MonoTime deadline, runtime::Stop* stop) {
  if (positions.empty() || min_bytes == 0) co_return runtime::Wake::ready;
  runtime::Reactor& home = runtime::Reactor::current();
  const std::uint64_t id = (std::uint64_t{home.shard().value()} << 48U) | next_wait_[home.shard().value()].next++;
  auto state = std::make_shared<WaitState>();
  state->home = &home;
  state->min_bytes = min_bytes;
  state->bytes.resize(positions.size());
  std::vector<std::vector<std::pair<std::size_t, WaitPosition>>> per_shard(shards_.size());
  for (std::size_t i = 0; i < positions.size(); ++i) per_shard[shard_of(positions[i].partition)].emplace_back(i, positions[i]);
  std::vector<std::size_t> used;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (per_shard[i].empty()) continue;
    used.push_back(i);
    ShardLog* shard = shards_[i].get();
    if (&reactor(i) == &home) {
      shard->add_waiters(id, state, std::move(per_shard[i]));
    } else {
      reactor(i).post(
          [shard, id, state, list = std::move(per_shard[i])]() mutable { shard->add_waiters(id, state, std::move(list)); });
    }
  }
  const runtime::Wake wake = co_await state->event.wait(deadline, stop);
  for (const std::size_t i : used) {
    ShardLog* shard = shards_[i].get();
    if (&reactor(i) == &home) {
      shard->remove_waiters(id);
    } else {
      reactor(i).post([shard, id] { shard->remove_waiters(id); });
    }
  }
  co_return wake;
}

}  // namespace

runtime::Task<bool> lacks_records(runtime::Runtime& runtime, std::vector<Shard*> shards) {
  for (std::size_t i = 0; i < shards.size(); ++i) {
    Shard* shard = shards[i];
    if (co_await runtime::submit_to(*runtime.shards[i], [shard] { return shard->lacks_records(); })) co_return true;
  }
  co_return false;
}

std::unique_ptr<Log> make_log(runtime::Runtime& runtime, wal::Wal& wal, meta::Meta& meta, store::ObjectStore& store,
                              model::ClusterId cluster, Options options) {
  return std::make_unique<LogImpl>(Doors{.runtime = runtime,
                                         .wal = wal,
                                         .meta = meta,
                                         .store = store,
                                         .cluster = cluster,
                                         .options = options,
                                         .catchup_pace = std::make_shared<cache::Pace>(options.catchup.bytes_per_second)},
                                   *runtime.metrics);
}

}  // namespace weir::log

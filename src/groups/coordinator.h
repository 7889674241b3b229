// groups/coordinator.h: the group coordinator of this broker, as api/ sees it: any group, from any shard.
// Why:        a group lives where its partition of `__consumer_offsets` lives; callers need not know where that is.
// Place:      L6; one per broker, made by app once the log is open; calls log and meta's topic view.
// Contract:   calls come from any shard, run on the group's, and complete on the caller's reactor. A commit is answered after its
//             records are durable (P1). A waiting request ends with its rebalance or with stop(), whether its client is still
//             there or not, as in Kafka.
// Failure:    Errc (core/types.h); not_coordinator also while the topic of groups does not exist.
// Limits:     parts.h, core/types.h.
// Tests:      groups/coordinator_test.cc
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/settings.h"
#include "groups/partition.h"
#include "meta/topic_table.h"

namespace weir::groups {

/// Kafka's name of the topic that groups are stored in.
inline constexpr std::string_view topic_name = "__consumer_offsets";

[[nodiscard]] Options options_from(const config::Settings& settings);

/// Kafka's choice: Java's String.hashCode of the id (over UTF-16), absolute, modulo.
[[nodiscard]] std::int32_t partition_of(std::string_view group, std::int32_t partition_count);

class Coordinator {
 public:
  /// All outlive the coordinator.
  Coordinator(runtime::Runtime& runtime, log::Log& log, meta::TopicTable& topics, Options options);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // --- life (shard 0) ---
  /// Begins to load every partition, and waits for them until the deadline: a client that is told to come again because a
  /// coordinator loads may send its commit behind a newer one.
  runtime::Task<void> start(base::MonoTime deadline);
  /// Before a clean stop, while connections are served to their end: nobody waits for other members any more, commits go on.
  runtime::Task<void> end_waits();
  /// Whoever waits is told not_coordinator, and so is whoever asks from now on.
  runtime::Task<void> stop();
  /// After the topic was created: opens its partitions and waits for them, until the deadline.
  runtime::Task<void> open_partitions(base::MonoTime deadline);

  // --- members ---
  runtime::Task<JoinAnswer> join(std::string group, Join request);
  runtime::Task<SyncAnswer> sync(std::string group, Sync request);
  runtime::Task<PlainAnswer> heartbeat(std::string group, Heartbeat request);
  runtime::Task<ListAnswer> leave(std::string group, Leave request);

  // --- offsets ---
  runtime::Task<ListAnswer> commit(std::string group, Commit request, bool knows_not_found);
  runtime::Task<OffsetAnswer> offsets(std::string group, OffsetQuestion question);
  runtime::Task<ListAnswer> remove_offsets(std::string group, std::vector<TopicIndex> offsets);
  /// Its offsets go from all groups.
  runtime::Task<void> topic_deleted(std::string topic);

  // --- groups ---
  runtime::Task<Description> describe(std::string group);
  struct List {
    bool loading = false;  ///< some partitions are not read yet
    std::vector<Listed> groups;
  };
  runtime::Task<List> list();
  runtime::Task<PlainAnswer> remove(std::string group);
  /// The retention check now, also made by itself every offsets.retention.check.interval.ms.
  runtime::Task<void> expire();

 private:
  struct ShardPart;
  struct Home {
    runtime::ShardId shard;
    model::TopicPartition partition;
  };
  [[nodiscard]] std::optional<Home> home_of(std::string_view group) const;
  template <class A, class Fn>
  runtime::Task<A> at_home(std::string group, Fn fn);
  template <class Fn>
  runtime::Task<void> on_all_shards(Fn fn);

  runtime::Runtime& runtime_;
  log::Log& log_;
  meta::TopicTable& topics_;
  Cells cells_;
  Doors doors_;
  std::vector<std::unique_ptr<ShardPart>> shards_;
};

}  // namespace weir::groups

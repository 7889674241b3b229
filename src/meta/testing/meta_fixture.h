// meta/testing/meta_fixture.h: a Meta on a memory keyspace with faults on command, for this room's tests.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "keyspace/memory.h"
#include "keyspace/testing/faulty_keyspace.h"
#include "meta/meta.h"
#include "runtime/testing/manual_runtime.h"

namespace weir::meta::testing {

/// Readable ids: id<model::TopicId>(7).
template <class Id>
Id id(std::uint64_t n) {
  return Id{model::Uuid::from_random(0x1122334455667788ULL, n)};
}

inline SessionRecord session_record(std::uint64_t n, std::int32_t node = 1) {
  SessionRecord session;
  session.id = id<model::SessionId>(n);
  session.node = model::NodeId(node);
  session.wal = id<model::WalId>(n);
  session.segment_bytes = 4U << 20U;
  session.window_bytes = 64U << 20U;
  session.started_ms = 1'800'000'000'000;
  return session;
}

inline TopicRecord topic_record(const std::string& name, std::uint64_t n, std::int32_t partition_count = 3) {
  TopicRecord topic;
  topic.name = name;
  topic.id = id<model::TopicId>(n);
  topic.partition_count = partition_count;
  topic.created_ms = 1'800'000'000'001;
  topic.configs["retention.ms"] = "1000";
  return topic;
}

inline model::TopicPartition partition(std::uint64_t topic, std::int32_t index) {
  return {.topic = id<model::TopicId>(topic), .partition = model::PartitionIndex(index)};
}

/// One keyspace that outlives any number of brokers.
class World {
 public:
  World() : memory(keyspace::make_memory_keyspace(*manual.doors.shards[0])) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    manual.run(stop(memory.get()));
    manual.drain();
  }
  template <class T>
  T run(runtime::Task<T> task) {
    return manual.run(std::move(task));
  }
  /// All keys and values, as they are.
  std::map<std::string, std::string> content() {
    auto all = run(keyspace::range_prefix(*memory, "", base::MonoTime::max()));
    std::map<std::string, std::string> entries;
    for (const keyspace::KeyValue& entry : all->entries) entries[entry.key] = entry.value;
    return entries;
  }
  std::vector<std::string> keys_under(const std::string& prefix) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : content()) {
      if (key.starts_with(prefix)) keys.push_back(key);
    }
    return keys;
  }
  runtime::testing::ManualRuntime manual;
  std::unique_ptr<keyspace::LocalKeyspace> memory;

 private:
  static runtime::Task<bool> stop(keyspace::Keyspace* keyspace) {
    co_await keyspace->stop();
    co_return true;
  }
};

/// One broker's Meta, with its own way of losing transactions.
class Broker {
 public:
  explicit Broker(World& world) : faulty(*world.memory), meta(world.manual.doors, faulty), world_(world) {}
  /// Opens the cluster, loads, seals the node's former sessions and begins session n. False: something failed.
  bool begin(std::uint64_t n) {
    if (!world_.run(meta.open_cluster(id<model::ClusterId>(1)))) return false;
    auto snapshot = world_.run(meta.load());
    if (!snapshot) return false;
    if (!world_.run(meta.begin_session(session_record(n), snapshot->sessions))) return false;
    auto again = world_.run(meta.load());
    return again && world_.run(meta.resume_deletions(again->leftovers)).has_value();
  }
  Snapshot load() {
    auto snapshot = world_.run(meta.load());
    EXPECT_TRUE(snapshot.has_value()) << (snapshot ? "" : snapshot.error().text);
    return snapshot.value_or(Snapshot{});
  }
  keyspace::testing::FaultyKeyspace faulty;
  Meta meta;

 private:
  World& world_;
};

}  // namespace weir::meta::testing

// upload/testing/fake_shard.h: a shard of a log that a test fills by hand, and a WAL whose places are a map.
// Contract:   FakeShard behaves as log.h says for backlog/collect/committed/abandoned and checks the uploader's side of it: one
//             collection at a time, entries contiguous with what is uploaded, committed data byte for byte what was appended.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "log/log.h"

namespace weir::upload::testing {

class FakeAppender final : public wal::Appender {
 public:
  wal::Place put(const bytes::Buffer& payload) {
    const wal::Place place{.segment = 1,
                           .offset_bytes = next_,
                           .length_bytes = static_cast<std::uint32_t>(payload.size()),
                           .crc = bytes::crc32c(payload.view())};
    next_ += place.length_bytes + gap_bytes;
    payloads_[place.offset_bytes] = bytes::Buffer::copy_of(payload.view());
    return place;
  }
  [[nodiscard]] bool can_append(std::size_t) const override { return true; }
  runtime::Task<base::Result<void>> wait_admission(std::size_t, base::MonoTime) override { co_return base::Result<void>(); }
  Reservation reserve(const wal::RecordHeader&, std::size_t, wal::RecordToken) override { return {}; }
  bytes::Buffer commit_record(const Reservation&, std::uint32_t) override { return {}; }
  void release(std::span<const wal::Place> places) override {
    for (const wal::Place& place : places) EXPECT_EQ(payloads_.erase(place.offset_bytes), 1U) << "released twice";
  }
  void uploaded_to(const model::TopicPartition&, model::Offset) override {}
  runtime::Task<base::Result<bytes::Buffer>> read(wal::Place place) override {
    ++reads;
    ++inflight;
    inflight_max = std::max(inflight_max, inflight);
    co_await runtime::sleep_for(std::chrono::microseconds(100));
    --inflight;
    if (rotten.contains(place.offset_bytes))
      co_return base::fail(base::ErrorKind::corrupt, "segment 1 does not match its checksum");
    co_return payloads_.at(place.offset_bytes);
  }
  runtime::Task<std::vector<base::Result<bytes::Buffer>>> read_run(std::vector<wal::Place> places) override {
    ++runs;
    co_return co_await wal::Appender::read_run(std::move(places));
  }
  [[nodiscard]] std::size_t live_count() const { return payloads_.size(); }

  std::set<std::uint32_t> rotten;  ///< offsets of places that cannot be read
  std::uint32_t gap_bytes = 0;     ///< left between two payloads
  int reads = 0;
  int runs = 0;  ///< of neighbours read together
  int inflight = 0;
  int inflight_max = 0;

 private:
  std::uint32_t next_ = 0;
  std::map<std::uint32_t, bytes::Buffer> payloads_;
};

class FakeShard final : public log::Shard {
 public:
  explicit FakeShard(runtime::Reactor& home) : home_(home) {}
  /// One more confirmed batch of one offset.
  void append(const model::TopicPartition& partition, const std::string& content, bool in_memory = true) {
    Partition& p = partitions_[partition];
    const bytes::Buffer payload = bytes::Buffer::copy_of(content);
    const wal::Place place = wal.put(payload);
    p.tail.push_back({.place = place,
                      .memory = in_memory ? payload : bytes::Buffer(),
                      .base_offset = p.end,
                      .end_offset = p.end + 1,
                      .max_timestamp = home_.wall_now_ms()});
    p.born.push_back(home_.now());
    p.contents.push_back(content);
    p.end = p.end + 1;
  }
  [[nodiscard]] Backlog backlog() const override {
    Backlog backlog;
    for (const auto& [partition, p] : partitions_) {
      for (const log::UploadRun::Batch& batch : p.tail) backlog.bytes += batch.place.length_bytes;
      if (!p.born.empty()) backlog.oldest_age = std::max(backlog.oldest_age, base::Duration(home_.now() - p.born.front()));
    }
    return backlog;
  }
  runtime::Task<std::vector<log::UploadRun>> collect(std::uint64_t max_bytes) override {
    EXPECT_FALSE(outstanding) << "two collections at a time";
    outstanding = true;
    std::vector<log::UploadRun> runs;
    std::uint64_t taken_bytes = 0;
    for (auto& [partition, p] : partitions_) {
      log::UploadRun run;
      for (const log::UploadRun::Batch& batch : p.tail) {
        if (taken_bytes > 0 && taken_bytes + batch.place.length_bytes > max_bytes) break;
        taken_bytes += batch.place.length_bytes;
        run.batches.push_back(batch);
      }
      if (run.batches.empty()) continue;
      run.entry.partition = partition;
      run.entry.base_offset = run.batches.front().base_offset;
      run.entry.end_offset = run.batches.back().end_offset;
      run.entry.last_stable_offset = run.entry.end_offset;
      run.entry.epochs = {{.epoch = model::LeaderEpoch(1), .start = model::Offset(0)}};
      runs.push_back(std::move(run));
    }
    co_return runs;
  }
  void committed(const meta::ObjectRecord& object, const std::vector<object::PartitionEntry>& entries) override {
    EXPECT_TRUE(outstanding);
    outstanding = false;
    EXPECT_GT(object.revision, 0) << "told before the commit was applied";
    objects.push_back(object);
    for (const object::PartitionEntry& entry : entries) {
      Partition& p = partitions_.at(entry.partition);
      EXPECT_EQ(entry.base_offset, p.uploaded_to) << "a hole or an overlap";
      EXPECT_FALSE(entry.blocks.empty());
      std::vector<wal::Place> places;
      while (!p.tail.empty() && p.tail.front().end_offset <= entry.end_offset) {
        places.push_back(p.tail.front().place);
        p.tail.pop_front();
        p.born.pop_front();
      }
      wal.release(places);
      p.uploaded_to = entry.end_offset;
    }
  }
  void abandoned() override {
    EXPECT_TRUE(outstanding);
    outstanding = false;
    ++abandoned_count;
  }
  wal::Appender& appender() override { return wal; }
  [[nodiscard]] std::vector<model::TopicPartition> partitions() const override {
    std::vector<model::TopicPartition> all;
    for (const auto& [partition, p] : partitions_) all.push_back(partition);
    return all;
  }
  [[nodiscard]] std::vector<Extent> extents(const model::TopicPartition&) const override { return {}; }
  [[nodiscard]] std::optional<std::vector<model::ObjectId>> kept_objects() const override {
    return std::vector<model::ObjectId>();
  }
  [[nodiscard]] bool lacks_records() const override { return lacking; }
  bool lacking = false;
  [[nodiscard]] model::Offset uploaded_to(const model::TopicPartition& partition) const {
    return partitions_.at(partition).uploaded_to;
  }
  /// Everything ever appended to the partition, in order.
  [[nodiscard]] const std::vector<std::string>& contents(const model::TopicPartition& partition) const {
    return partitions_.at(partition).contents;
  }

  FakeAppender wal;
  bool outstanding = false;
  int abandoned_count = 0;
  std::vector<meta::ObjectRecord> objects;

 private:
  struct Partition {
    std::deque<log::UploadRun::Batch> tail;
    std::deque<base::MonoTime> born;
    std::vector<std::string> contents;
    model::Offset uploaded_to{0};
    model::Offset end{0};
  };
  runtime::Reactor& home_;
  std::map<model::TopicPartition, Partition> partitions_;
};

class FakeWal final : public wal::Wal {
 public:
  runtime::Task<base::Result<wal::RecoveredWal>> recover(std::vector<wal::RegisteredWal>,
                                                         std::function<void(std::uint64_t, std::uint64_t)>) override {
    co_return wal::RecoveredWal{};
  }
  runtime::Task<base::Result<void>> remove_session(model::SessionId session) override {
    if (live_records(session) > 0) co_return base::fail(base::ErrorKind::retry, "it is needed");
    removed.push_back(session);
    co_return base::Result<void>();
  }
  [[nodiscard]] std::uint64_t damaged_segments(model::SessionId session) const override {
    return damaged.contains(session) ? 1 : 0;
  }
  std::set<model::SessionId> damaged;
  [[nodiscard]] std::uint64_t live_records(model::SessionId session) const override {
    const auto found = live.find(session);
    return found == live.end() ? 0 : found->second;
  }
  runtime::Task<base::Result<void>> start(std::function<runtime::Task<base::Result<void>>(std::uint32_t)>,
                                          std::vector<wal::ShardSink*>) override {
    co_return base::Result<void>();
  }
  wal::Appender& appender(runtime::ShardId) override { return appender_; }
  runtime::Task<base::Result<void>> flush_statements() override { co_return base::Result<void>(); }
  [[nodiscard]] base::MonoTime last_durable() const override { return {}; }
  [[nodiscard]] std::uint64_t used_bytes() const override { return used; }
  runtime::Task<void> stop() override { co_return; }

  std::map<model::SessionId, std::uint64_t> live;
  std::vector<model::SessionId> removed;
  std::uint64_t used = 0;

 private:
  FakeAppender appender_;
};

}  // namespace weir::upload::testing

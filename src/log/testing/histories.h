// log/testing/histories.h: random histories of one partition, in which a consumer's view must be exactly what was committed.
// Why:        what an upload, a restart or a merge of objects must not change is what readers and producers see: one check for all.
// Contract:   single-threaded on virtual time; a seed replays.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "log/testing/log_fixture.h"

namespace weir::log::testing {

inline bytes::Buffer txn(std::int64_t producer, std::int32_t sequence, std::int16_t epoch = 0, std::string value = "t") {
  return batch({.producer = producer, .epoch = epoch, .sequence = sequence, .transactional = true, .value = std::move(value)});
}

inline std::string joined(const ReadOutcome& outcome) {
  std::string all;
  for (const bytes::Buffer& buffer : outcome.batches) all += buffer.text();
  return all;
}

/// What Kafka's consumer makes of a read_committed answer: batches of a producer are hidden from its aborted transaction's first
/// offset to its abort marker; markers are never shown. Offset -> value.
inline void consume(const ReadOutcome& outcome, std::map<std::int64_t, std::string>& shown) {
  const std::string all = joined(outcome);
  std::set<model::ProducerId> aborting;
  auto next = outcome.aborted.begin();
  for (std::size_t at = 0; at < all.size();) {
    const bytes::Bytes rest = bytes::as_bytes(std::string_view(all).substr(at));
    const auto header = model::check_batch(rest);
    ASSERT_TRUE(header);
    at += header->size_bytes();
    for (; next != outcome.aborted.end() && next->first <= header->last_offset(); ++next) aborting.insert(next->producer_id);
    if (header->is_control()) {
      const auto marker = model::read_end_marker(rest.first(header->size_bytes()));
      ASSERT_TRUE(marker);
      if (!marker->commit) aborting.erase(header->producer_id);
      continue;
    }
    if (header->is_transactional() && aborting.contains(header->producer_id)) continue;
    auto reader = *model::RecordReader::open(rest.first(header->size_bytes()));
    for (auto record = reader.next(); record && *record; record = reader.next()) {
      shown[(*record)->offset.value()] = bytes::as_text(*(*record)->value);
    }
  }
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ ^= state_ << 13U;
    state_ ^= state_ >> 7U;
    state_ ^= state_ << 17U;
    return state_ % bound;
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// Producers that open and end transactions among plain batches while uploads, restarts, pressed memory and a rising log start
/// go on; after each step a consumer reads the whole partition in pieces and must see what was committed, and nothing else.
class Histories {
 public:
  /// `also`: steps of one's own, as many as the log's, between them.
  explicit Histories(std::uint64_t seed, std::function<void(Cluster&, Broker&, Random&)> also = {})
      : random_(seed), also_(std::move(also)) {
    begin();
    broker_->create_topic();
  }
  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      step();
      check("step " + std::to_string(i));
    }
  }

 private:
  struct Producer {
    std::int16_t epoch = 0;
    std::int32_t sequence = 0;
    std::vector<std::pair<std::int64_t, std::string>> open;
    std::int64_t first = -1;
    std::int64_t newest = -1;  ///< of its epoch
    std::string newest_value{};
  };
  void begin() {
    broker_ = nullptr;
    broker_ = std::make_unique<Broker>(cluster_, Options{.tail_memory_bytes_max = 2000});
    broker_->start();
    for (const auto& [id, producer] : producers_) recognise(id, producer);
  }
  // A batch of an open transaction that is still in the log is known after any number of restarts: its retry is answered with its offset.
  void recognise(std::int64_t id, const Producer& producer) {
    // Its transaction is open: the retry of one that has ended would begin another one's verification.
    if (producer.open.empty() || producer.newest < broker_->state().log_start.value()) return;
    const ProduceOutcome again = broker_->produce(txn(id, producer.sequence - 1, producer.epoch, producer.newest_value));
    ASSERT_EQ(again.error, Errc::none) << again.message;
    ASSERT_EQ(again.base_offset.value(), producer.newest) << "producer " << id << " was forgotten";
  }
  void step() {
    const auto id = static_cast<std::int64_t>(random_.below(4));
    Producer& producer = producers_[id];
    if (also_ && random_.below(2) == 0) return also_(cluster_, *broker_, random_);
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: write(id, producer); break;
      case 4:
      case 5: end(id, producer, random_.below(2) == 0); break;
      case 6:
      case 7: {
        const std::string value = fmt::format("p{}", ++written_);
        const ProduceOutcome outcome = broker_->produce(batch({.value = value}));
        ASSERT_EQ(outcome.error, Errc::none);
        committed_[outcome.base_offset.value()] = value;
        break;
      }
      case 8: broker_->upload(random_.below(2) == 0 ? 300 : UINT64_MAX); break;
      case 9: broker_->wal->press_memory(random_.below(4000)); break;
      case 10:
        if (random_.below(3) == 0) begin();
        break;
      case 11:
        if (random_.below(4) == 0) raise();
        break;
      default: break;
    }
  }
  void write(std::int64_t id, Producer& producer) {
    const std::string value = fmt::format("t{}", ++written_);
    const ProduceOutcome outcome = broker_->produce(txn(id, producer.sequence, producer.epoch, value));
    ASSERT_EQ(outcome.error, Errc::none) << outcome.message;
    ++producer.sequence;
    producer.open.emplace_back(outcome.base_offset.value(), value);
    if (producer.first < 0) producer.first = outcome.base_offset.value();
    producer.newest = outcome.base_offset.value();
    producer.newest_value = value;
  }
  void end(std::int64_t id, Producer& producer, bool commit) {
    const bool bump = random_.below(3) == 0;
    if (bump) {
      ++producer.epoch;
      producer.sequence = 0;
      producer.newest = -1;
    }
    const ProduceOutcome outcome = broker_->end_transaction(id, commit, producer.epoch, 0, bump);
    ASSERT_EQ(outcome.error, Errc::none) << outcome.message;
    if (commit) committed_.insert(producer.open.begin(), producer.open.end());
    producer.open.clear();
    producer.first = -1;
  }
  void raise() {
    const PartitionState state = broker_->state();
    const auto room = static_cast<std::uint64_t>(state.high_watermark - state.log_start);
    log_start_ = state.log_start.value() + static_cast<std::int64_t>(random_.below(room + 1) / 2);
    ASSERT_EQ(broker_->raise_log_start(log_start_), Errc::none);
  }
  void check(const std::string& where) {
    const PartitionState state = broker_->state();
    std::int64_t first_open = state.high_watermark.value();
    for (const auto& [id, producer] : producers_) {
      // Once all its batches lie below the log start, a restart may let go of it.
      if (!producer.open.empty() && producer.open.back().first >= state.log_start.value()) {
        for (const auto& [offset, value] : producer.open) {
          if (offset >= state.log_start.value()) first_open = std::min(first_open, offset);
        }
      }
    }
    ASSERT_LE(state.last_stable_offset.value(), first_open) << where;
    ASSERT_GE(state.last_stable_offset.value(), last_stable_) << where << ": it went back";
    last_stable_ = state.last_stable_offset.value();
    std::map<std::int64_t, std::string> shown;
    for (model::Offset at = state.log_start; at < state.last_stable_offset;) {
      const ReadOutcome read =
          broker_->read(at.value(), 1 + static_cast<std::uint32_t>(random_.below(600)), Isolation::read_committed);
      ASSERT_EQ(read.error, Errc::none) << where << ": " << read.message;
      ASSERT_GT(read.end, at) << where;
      ASSERT_LE(read.end, read.last_stable_offset) << where;
      consume(read, shown);
      at = read.end;
    }
    std::map<std::int64_t, std::string> expected;
    for (auto it = committed_.lower_bound(state.log_start.value()); it != committed_.end(); ++it) {
      if (it->first < state.last_stable_offset.value()) expected.insert(*it);
    }
    ASSERT_EQ(shown, expected) << where;
  }

  Random random_;
  std::function<void(Cluster&, Broker&, Random&)> also_;
  Cluster cluster_;
  std::unique_ptr<Broker> broker_;
  std::map<std::int64_t, Producer> producers_;
  std::map<std::int64_t, std::string> committed_;
  std::int64_t log_start_ = 0;
  std::int64_t last_stable_ = 0;
  int written_ = 0;
};

}  // namespace weir::log::testing

// Random histories of one broker after another on the fake WAL, held against what was acknowledged and what was shown.
// Groups complete in any order, fail, land unseen; memory is pressed; uploads and restarts come at any time; transactions of
// own/P lose their replies. Each run is the same for its seed.
#include <map>

#include <gtest/gtest.h>

#include "log/testing/histories.h"

namespace weir::log::testing {
namespace {

constexpr std::int32_t partition_count = 3;
constexpr std::int64_t producer_count = 2;

/// A producer as a client: sequences in order, five in flight, the oldest unanswered one retried with the same sequence.
struct Producer {
  std::int64_t id = 0;
  std::int32_t next_sequence = 0;
  struct Sent {
    std::int32_t sequence = 0;
    std::string value;
    std::shared_ptr<Broker::Produced> produced;
  };
  std::vector<Sent> in_flight;
};

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {
    options_.tail_memory_bytes_max = 4000;
    for (std::int32_t p = 0; p < partition_count; ++p) {
      for (std::int64_t i = 0; i < producer_count; ++i) producers_[p].push_back({.id = 10 + p * 10 + i, .in_flight = {}});
    }
  }
  void run(int steps) {
    begin_broker();
    broker_->create_topic(1, partition_count);
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) step();
    settle();
    for (std::int32_t p = 0; p < partition_count; ++p) check_reads(p, 0);
    end_broker();
    begin_broker();
    for (std::int32_t p = 0; p < partition_count; ++p) check_reads(p, 0);
    check_everything_acknowledged_is_there();
  }
  std::uint64_t acknowledged_count = 0;
  std::uint64_t void_count() { return cluster_.manual.metrics.counter(voids_total, "").value(); }
  std::uint64_t duplicate_count() { return cluster_.manual.metrics.counter(duplicates_total, "").value(); }

 private:
  void begin_broker() {
    broker_ = std::make_unique<Broker>(cluster_, options_);
    broker_->start();
    broker_->wal->automatic = false;
  }
  void end_broker() {
    cluster_.keyspace.choose = {};
    take_answers();
    broker_ = nullptr;  // answers after the process's end are not heard
    for (auto& [p, list] : producers_) {
      for (Producer& producer : list) {
        for (Producer::Sent& sent : producer.in_flight) sent.produced = nullptr;
      }
    }
  }
  void step() {
    const std::int32_t p = static_cast<std::int32_t>(random_.below(partition_count));
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: send(p); break;
      case 5:
      case 6:
      case 7:
      case 8: complete_one(); break;
      case 9:
        if (random_.one_in(3)) fail_one();
        break;
      case 10:
        if (random_.one_in(2)) broker_->upload(random_.one_in(2) ? 300 : UINT64_MAX);
        break;
      case 11: broker_->wal->press_memory(random_.below(5000)); break;
      case 12: check_reads(p, random_.below(1 + shown_[p].size())); break;
      case 13: cluster_.manual.advance(std::chrono::milliseconds(random_.below(300))); break;
      case 14: choose_faults(); break;
      case 15:
        if (random_.one_in(6)) crash();
        break;
      default: break;
    }
    cluster_.manual.drain();
    take_answers();
  }
  void choose_faults() {
    if (random_.one_in(2)) {
      cluster_.keyspace.choose = {};
      return;
    }
    const std::uint64_t period = 2 + random_.below(3);
    cluster_.keyspace.choose = [period](std::uint64_t number, const keyspace::Txn&) {
      if (number % period != 0) return keyspace::testing::TxnFault::none;
      return number % 2 == 0 ? keyspace::testing::TxnFault::refuse : keyspace::testing::TxnFault::lose_reply;
    };
  }
  void send(std::int32_t p) {
    Producer& producer = producers_[p][random_.below(producer_count)];
    // A client retries in order: first what it had in flight and heard nothing of.
    for (Producer::Sent& sent : producer.in_flight) {
      if (sent.produced == nullptr) {
        sent.produced = broker_->begin_produce(batch({.producer = producer.id, .sequence = sent.sequence, .value = sent.value}),
                                               partition(1, p), std::chrono::hours(1));
        return;
      }
    }
    if (producer.in_flight.size() >= 5) return;
    const std::string value = fmt::format("{}-{}-{}", producer.id, producer.next_sequence, std::string(random_.below(60), 'x'));
    producer.in_flight.push_back({.sequence = producer.next_sequence++, .value = value, .produced = nullptr});
    send_new(p, producer);
  }
  void send_new(std::int32_t p, Producer& producer) {
    Producer::Sent& sent = producer.in_flight.back();
    sent.produced = broker_->begin_produce(batch({.producer = producer.id, .sequence = sent.sequence, .value = sent.value}),
                                           partition(1, p), std::chrono::hours(1));
  }
  void complete_one() {
    if (broker_->wal->groups_in_flight() == 0) return;
    broker_->wal->complete(random_.below(broker_->wal->groups_in_flight()));
  }
  void fail_one() {
    if (broker_->wal->groups_in_flight() == 0) return;
    broker_->wal->fail(random_.below(broker_->wal->groups_in_flight()), base::ErrorKind::io);
  }
  void crash() {
    for (std::size_t i = 0; i < broker_->wal->groups_in_flight(); ++i) {
      if (random_.one_in(2)) broker_->wal->land(i);
    }
    end_broker();
    begin_broker();
  }
  void take_answers() {
    for (auto& [p, list] : producers_) {
      for (Producer& producer : list) {
        std::erase_if(producer.in_flight, [&, partition = p](Producer::Sent& sent) { return take_answer(partition, sent); });
      }
    }
  }
  // True: acknowledged.
  bool take_answer(std::int32_t p, Producer::Sent& sent) {
    if (sent.produced == nullptr || !sent.produced->outcome) return false;
    const ProduceOutcome& outcome = *sent.produced->outcome;
    if (outcome.error == Errc::none) {
      ++acknowledged_count;
      const std::int64_t offset = outcome.base_offset.value();
      const auto [at, fresh] = acknowledged_[p].emplace(offset, sent.value);
      EXPECT_TRUE(fresh || at->second == sent.value) << "offset " << offset << " was given twice";
      if (!fresh && at->second == sent.value) return true;
      EXPECT_TRUE(values_[p].insert(sent.value).second) << sent.value << " was acknowledged at two offsets";
      return true;
    }
    // Void, or refused because an earlier one of the producer was given up: to be sent again, in order.
    EXPECT_TRUE(outcome.error == Errc::not_appended || outcome.error == Errc::out_of_order_sequence)
        << to_string(outcome.error);
    sent.produced = nullptr;
    return false;
  }
  void check_reads(std::int32_t p, std::uint64_t from) {
    for (int reads = 0; reads < 1000; ++reads) {
      const ReadOutcome outcome =
          broker_->read(static_cast<std::int64_t>(from), 1000, Isolation::read_uncommitted, partition(1, p));
      ASSERT_EQ(outcome.error, Errc::none) << outcome.message;
      const Values some = values(outcome);
      ASSERT_GE(outcome.high_watermark.value(), static_cast<std::int64_t>(shown_[p].size())) << "the high watermark went back";
      if (some.empty()) return;
      for (const std::string& line : some) {
        const auto offset = static_cast<std::uint64_t>(std::stoll(line));
        const std::string value = line.substr(line.find('=') + 1);
        ASSERT_LE(offset, shown_[p].size()) << "a gap was shown";
        if (offset == shown_[p].size()) {
          ASSERT_TRUE(shown_values_[p].insert(value).second) << value << " was shown twice";
          shown_[p].push_back(value);
        }
        ASSERT_EQ(shown_[p][offset], value) << "what was shown at " << offset << " changed";
        const auto acknowledged = acknowledged_[p].find(static_cast<std::int64_t>(offset));
        if (acknowledged != acknowledged_[p].end()) ASSERT_EQ(acknowledged->second, value);
        from = offset + 1;
      }
    }
    FAIL() << "the reads do not end";
  }
  void settle() {
    cluster_.keyspace.choose = {};
    broker_->wal->automatic = true;
    broker_->wal->complete_all();
    cluster_.manual.advance(std::chrono::seconds(20));
    take_answers();
  }
  void check_everything_acknowledged_is_there() {
    for (const auto& [p, acknowledged] : acknowledged_) {
      for (const auto& [offset, value] : acknowledged) {
        ASSERT_LT(static_cast<std::size_t>(offset), shown_[p].size()) << "an acknowledged record is lost";
        ASSERT_EQ(shown_[p][static_cast<std::size_t>(offset)], value);
      }
      // A producer's records come in the order of its sequences.
      std::map<std::string, std::int32_t> last;
      for (const std::string& value : shown_[p]) {
        const std::string producer = value.substr(0, value.find('-'));
        const auto sequence = static_cast<std::int32_t>(std::stol(value.substr(producer.size() + 1)));
        const auto known = last.find(producer);
        ASSERT_EQ(sequence, known == last.end() ? 0 : known->second + 1) << "producer " << producer;
        last[producer] = sequence;
      }
    }
  }

  Random random_;
  Options options_;
  Cluster cluster_;
  std::unique_ptr<Broker> broker_;
  std::map<std::int32_t, std::vector<Producer>> producers_;
  std::map<std::int32_t, std::map<std::int64_t, std::string>> acknowledged_;
  std::map<std::int32_t, std::set<std::string>> values_;
  std::map<std::int32_t, std::vector<std::string>> shown_;
  std::map<std::int32_t, std::set<std::string>> shown_values_;
};

TEST(History, HoldsUnderRandomCompletionsFailuresUploadsAndCrashes) {
  std::uint64_t acknowledged = 0;
  std::uint64_t voids = 0;
  std::uint64_t duplicates = 0;
  for (std::uint64_t seed = 1; seed <= 120; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History history(seed);
    history.run(400);
    acknowledged += history.acknowledged_count;
    voids += history.void_count();
    duplicates += history.duplicate_count();
    if (HasFailure()) return;
  }
  EXPECT_GT(acknowledged, 2000U);
  EXPECT_GT(voids, 200U);
  EXPECT_GT(duplicates, 80U);
}

}  // namespace
}  // namespace weir::log::testing

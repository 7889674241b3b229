// Offsets by time and special values, and transactions as readers see them; across objects, WAL and memory, and restarts.
#include <algorithm>

#include <gtest/gtest.h>

#include "log/testing/log_fixture.h"

namespace weir::log::testing {
namespace {

/// One batch per inner vector; all timestamps are offsets to test_time.
using Plan = std::vector<std::vector<base::WallMs>>;

base::WallMs at(base::WallMs delta) { return test_time + delta; }

std::vector<base::WallMs> flat(const Plan& plan) {
  std::vector<base::WallMs> all;
  for (const auto& one : plan) all.insert(all.end(), one.begin(), one.end());
  return all;
}

void produce_plan(Broker& broker, const Plan& plan, model::CompressionType compression = model::CompressionType::none) {
  for (const auto& deltas : plan) {
    std::vector<base::WallMs> stamps;
    for (const base::WallMs delta : deltas) stamps.push_back(at(delta));
    ASSERT_EQ(broker.produce(batch({.timestamps = stamps, .compression = compression})).error, Errc::none);
  }
}

// Compares with the answer by definition: the first record at or after the log start whose time reaches the one asked for.
void expect_all_answers(Broker& broker, const std::vector<base::WallMs>& stamps, std::int64_t log_start,
                        const std::string& where) {
  for (base::WallMs wanted = -1; wanted < 60; ++wanted) {
    std::int64_t expected = log_start;
    while (expected < static_cast<std::int64_t>(stamps.size()) && stamps[static_cast<std::size_t>(expected)] < wanted)
      ++expected;
    const bool none = expected == static_cast<std::int64_t>(stamps.size());
    const OffsetAndTimestamp answer = broker.query(OffsetQuery::by_time, at(wanted));
    EXPECT_EQ(answer.error, Errc::none);
    EXPECT_EQ(answer.offset.value(), none ? -1 : expected) << where << " time " << wanted << " log start " << log_start;
    if (!none) EXPECT_EQ(answer.timestamp, at(stamps[static_cast<std::size_t>(expected)]));
  }
  const auto first = stamps.begin() + log_start;
  const auto highest = std::max_element(first, stamps.end());
  EXPECT_EQ(broker.query(OffsetQuery::max_timestamp).offset.value(), highest - stamps.begin())
      << where << " log start " << log_start;
}

const Plan plan_a = {{1, 7, 3}, {2}, {9, 8}, {4, 4}};
const Plan plan_b = {{30, 5}, {6}, {12, 11, 40}};
const Plan plan_c = {{10}, {45, 41}, {20}};

TEST(Query, ByTimeAcrossObjectsWalAndMemoryInEveryCodec) {
  for (const auto compression : {model::CompressionType::none, model::CompressionType::zstd}) {
    Cluster cluster;
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    std::vector<base::WallMs> all = flat(plan_a);
    produce_plan(broker, plan_a, compression);
    expect_all_answers(broker, all, 0, "memory");
    broker.wal->press_memory(SIZE_MAX);
    cluster.manual.drain();
    expect_all_answers(broker, all, 0, "wal");
    broker.upload();
    expect_all_answers(broker, all, 0, "object");
    produce_plan(broker, plan_b, compression);
    broker.upload();
    produce_plan(broker, plan_c, compression);
    for (const Plan* plan : {&plan_b, &plan_c}) {
      const auto more = flat(*plan);
      all.insert(all.end(), more.begin(), more.end());
    }
    expect_all_answers(broker, all, 0, "objects and memory");
    broker.wal->press_memory(SIZE_MAX);
    cluster.manual.drain();
    for (std::int64_t start = 1; start < static_cast<std::int64_t>(all.size()); ++start) {
      ASSERT_EQ(broker.raise_log_start(start), Errc::none);
      expect_all_answers(broker, all, start, "from a log start");
    }
  }
}

TEST(Query, SpecialTimestamps) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  EXPECT_EQ(broker.query(OffsetQuery::earliest).offset, model::Offset(0));
  EXPECT_EQ(broker.query(OffsetQuery::latest).offset, model::Offset(0));
  EXPECT_EQ(broker.query(OffsetQuery::max_timestamp).offset, model::Offset(-1));
  EXPECT_EQ(broker.query(OffsetQuery::by_time, 5).offset, model::Offset(-1));
  produce_plan(broker, plan_a);
  EXPECT_EQ(broker.query(OffsetQuery::latest).offset, model::Offset(8));
  EXPECT_EQ(broker.query(OffsetQuery::latest).epoch, model::LeaderEpoch(1));
  EXPECT_EQ(broker.query(OffsetQuery::latest_tiered).offset, model::Offset(-1));
  broker.wal->automatic = false;
  auto flying = broker.begin_produce(batch({.timestamps = {at(50)}}));
  EXPECT_EQ(broker.query(OffsetQuery::latest).offset, model::Offset(8));
  EXPECT_EQ(broker.query(OffsetQuery::by_time, at(50)).offset, model::Offset(-1)) << "not confirmed";
  EXPECT_EQ(broker.query(OffsetQuery::max_timestamp).offset, model::Offset(4));
  broker.wal->complete_all();
  cluster.manual.drain();
  ASSERT_EQ(broker.raise_log_start(3), Errc::none);
  EXPECT_EQ(broker.query(OffsetQuery::earliest).offset, model::Offset(3));
  EXPECT_EQ(broker.query(OffsetQuery::earliest_local).offset, model::Offset(3));
}

struct Seen {
  std::int64_t last_stable = 0;
  std::vector<object::AbortedSpan> aborted;
  bool operator==(const Seen&) const = default;
};

Seen committed_view(Broker& broker, std::int64_t from) {
  const ReadOutcome read = broker.read(from, 1U << 20U, Isolation::read_committed);
  EXPECT_EQ(read.error, Errc::none) << read.message;
  const Values got = values(read);
  if (!got.empty()) EXPECT_LT(std::stoll(got.back()), read.last_stable_offset.value()) << "shown beyond the last stable offset";
  return {.last_stable = read.last_stable_offset.value(), .aborted = read.aborted};
}

object::AbortedSpan span(std::int64_t producer, std::int64_t first, std::int64_t last) {
  return {.producer_id = model::ProducerId(producer), .first = model::Offset(first), .last = model::Offset(last)};
}

TEST(Transactions, ReadCommittedSeesDecidedOnesAndTheAbortedSpans) {
  Cluster cluster;
  const auto check = [](Broker& broker, const std::string& where) {
    // 0 plain | 1,2 txn of 1 | 3 txn of 2 | 4 abort of 1 | 5 plain | 6 txn of 3 (open) | 7 commit of 2 | 8 plain
    EXPECT_EQ(committed_view(broker, 0), (Seen{6, {span(1, 1, 4)}})) << where;
    EXPECT_EQ(committed_view(broker, 3), (Seen{6, {span(1, 1, 4)}})) << where;
    EXPECT_EQ(committed_view(broker, 5), (Seen{6, {}})) << where;
    EXPECT_EQ(values(broker.read(6, 1000, Isolation::read_committed)), Values{}) << where;
    EXPECT_EQ(broker.query(OffsetQuery::latest, -1, Isolation::read_committed).offset, model::Offset(6)) << where;
    EXPECT_EQ(broker.query(OffsetQuery::latest).offset, model::Offset(9)) << where;
    EXPECT_EQ(broker.state().last_stable_offset, model::Offset(6)) << where;
  };
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 0, .transactional = true, .timestamps = times(2)})).error,
              Errc::none);
    EXPECT_EQ(broker.state().last_stable_offset, model::Offset(1));
    ASSERT_EQ(broker.produce(batch({.producer = 2, .sequence = 0, .transactional = true})).error, Errc::none);
    EXPECT_EQ(broker.produce(batch({.producer = 2, .sequence = 1})).error, Errc::invalid_txn_state);
    ASSERT_EQ(broker.end_transaction(1, false).base_offset, model::Offset(4));
    EXPECT_EQ(broker.state().last_stable_offset, model::Offset(3));
    broker.upload();  // transaction 2 is open at its end
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    ASSERT_EQ(broker.produce(batch({.producer = 3, .sequence = 0, .transactional = true})).error, Errc::none);
    ASSERT_EQ(broker.end_transaction(2, true).base_offset, model::Offset(7));
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    check(broker, "first run");
  }
  {
    Broker broker(cluster);
    broker.start();
    check(broker, "from an object and the WAL");
    broker.upload();
    check(broker, "after the upload");
  }
  Broker broker(cluster);
  broker.start();
  check(broker, "from objects");
  ASSERT_EQ(broker.end_transaction(3, false).error, Errc::none);
  EXPECT_EQ(committed_view(broker, 0), (Seen{10, {span(1, 1, 4), span(3, 6, 9)}}));
}

TEST(Transactions, AMarkerThatIsNotConfirmedDecidesNothing) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 0, .transactional = true})).error, Errc::none);
  broker.wal->automatic = false;
  auto marker = broker.begin_produce(
      *model::build_end_marker(model::ProducerId(1), model::ProducerEpoch(0), {.commit = false}, test_time), partition(),
      std::chrono::seconds(30), true);
  EXPECT_EQ(broker.state().last_stable_offset, model::Offset(0));
  broker.wal->fail(0, base::ErrorKind::io);
  cluster.manual.advance(std::chrono::seconds(1));
  EXPECT_EQ(marker->error(), Errc::not_appended);
  EXPECT_EQ(broker.state().last_stable_offset, model::Offset(0)) << "the void took the marker back";
  broker.wal->automatic = true;
  ASSERT_EQ(broker.end_transaction(1, true).base_offset, model::Offset(1));
  EXPECT_EQ(committed_view(broker, 0), (Seen{2, {}}));
}

TEST(Transactions, ATransactionBelowTheLogStartHoldsNobodyBack) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 0, .transactional = true})).error, Errc::none);
    broker.upload();  // states it as open
    ASSERT_EQ(broker.end_transaction(1, false).error, Errc::none);
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    ASSERT_EQ(broker.raise_log_start(2), Errc::none);  // the marker leaves without an object
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    broker.upload();
    EXPECT_EQ(broker.state().last_stable_offset, model::Offset(4));
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(broker.state().last_stable_offset, model::Offset(4));
}

}  // namespace
}  // namespace weir::log::testing

#include <gtest/gtest.h>

#include <cstring>

#include "wal/testing/wal_fixture.h"

namespace weir::wal::testing {
namespace {

using base::ErrorKind;
constexpr std::uint32_t segment_bytes = 256U << 10U;

struct WalTest : ::testing::Test {
  WalTest() { runtime.doors.files = &files; }
  Options options(std::uint64_t segments = 8) const {
    return {.directory = "wal", .size_bytes = segments * segment_bytes, .segment_bytes = segment_bytes, .group_bytes_max = 64U << 10U};
  }
  std::unique_ptr<Broker> started(std::uint8_t session, std::vector<RegisteredWal> earlier = {}, std::uint64_t segments = 8) {
    auto broker = std::make_unique<Broker>(runtime, identity(session), options(segments));
    auto recovered = broker->recover(std::move(earlier));
    EXPECT_OK(recovered);
    if (recovered) last_recovered = *recovered;
    EXPECT_OK(broker->start());
    return broker;
  }
  RegisteredWal registration(Broker& broker, std::uint8_t session) const { return broker.registration(identity(session), segment_bytes); }

  MemoryFiles files;
  runtime::testing::ManualRuntime runtime;
  RecoveredWal last_recovered;
  model::TopicPartition p1 = partition(7);
  model::TopicPartition p2 = partition(8);
};

TEST_F(WalTest, AppendedBecomesDurableIsReadBackAndRecovered) {
  auto a = started(2);
  const bytes::Buffer kept = a->append(p1, 0, 100);
  a->append(p2, 0, 5000, 3);
  runtime.drain();
  ASSERT_EQ(a->sink().durable.size(), 2U);
  EXPECT_EQ(kept.text(), payload_text(p1, 0, 100));
  auto read = runtime.run(a->appender().read(a->sink().places.at(2)));
  ASSERT_OK(read);
  EXPECT_EQ(read->text(), payload_text(p2, 0, 5000));
  a->stop();

  auto b = started(3, {registration(*a, 2)});
  ASSERT_EQ(last_recovered.records.size(), 2U);
  EXPECT_EQ(last_recovered.records[0].header.partition, p1);
  EXPECT_EQ(last_recovered.records[1].header.offset_count, 3);
  EXPECT_EQ(last_recovered.groups_torn, 0U);
  auto again = runtime.run(b->appender().read(last_recovered.records[1].place));
  ASSERT_OK(again);
  EXPECT_EQ(again->text(), payload_text(p2, 0, 5000));
  EXPECT_EQ(std::memcmp(last_recovered.records[1].batch_header.data(), again->data(), 61), 0);
  EXPECT_EQ(b->wal->live_records(identity(2).session), 2U);
  b->stop();
}

}  // namespace
}  // namespace weir::wal::testing

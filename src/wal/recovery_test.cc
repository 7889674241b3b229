// What recovery must see, must refuse and must say.
#include <cstring>

#include <gtest/gtest.h>

#include "wal/format.h"
#include "wal/metrics_decl.h"
#include "wal/testing/wal_fixture.h"

namespace weir::wal::testing {
namespace {

using base::ErrorKind;
constexpr std::uint32_t segment_bytes = 256U << 10U;

struct RecoveryTest : ::testing::Test {
  RecoveryTest() { runtime.doors.files = &files; }
  static Options options() {
    return {.directory = "wal", .size_bytes = 8 * segment_bytes, .segment_bytes = segment_bytes, .group_bytes_max = 64U << 10U};
  }
  /// Session 2 wrote five groups of one record; `a` has stopped.
  void write_five(std::size_t size = 6000) {
    Broker a(runtime, identity(2), options());
    ASSERT_OK(a.recover());
    ASSERT_OK(a.start());
    // Once the second segment is filled, groups go there: all five lie in it.
    ASSERT_OK(runtime.run(a.wal->flush_statements()));
    runtime.advance(std::chrono::seconds(1));
    for (int i = 0; i < 5; ++i) {
      a.append(p1, i, size);
      runtime.advance(std::chrono::milliseconds(10));
    }
    ASSERT_EQ(a.sink().durable.size(), 5U);
    for (const DurableRecord& record : a.sink().durable) places.push_back(record.place);
    a.stop();
    old = a.registration(identity(2), segment_bytes);
  }
  base::Result<RecoveredWal> recover(std::uint8_t session = 3) {
    Broker b(runtime, identity(session), options());
    auto recovered = b.recover({old});
    if (recovered) b.stop();
    return recovered;
  }
  std::vector<std::byte>& segment(int number = 1) {
    return files.bytes_of("wal/" + old.session.to_string() + "/seg-0000" + std::to_string(number));
  }
  std::vector<std::int64_t> offsets(const RecoveredWal& recovered) {
    std::vector<std::int64_t> all;
    for (const RecoveredRecord& record : recovered.records) all.push_back(record.header.base_offset.value());
    return all;
  }
  std::uint64_t count(const runtime::MetricDecl& decl) { return runtime.metrics.counter(decl, "").value(); }

  MemoryFiles files;
  runtime::testing::ManualRuntime runtime;
  model::TopicPartition p1 = partition(7);
  std::vector<Place> places;
  RegisteredWal old;
};

TEST_F(RecoveryTest, EveryByteOfTheLastGroupCutAwayLeavesTheOthers) {
  write_five(300);
  const std::vector<std::byte> whole = segment();
  const std::size_t last = places[4].offset_bytes / block_bytes * block_bytes;
  for (std::size_t cut = 0; cut < block_bytes; cut += 37) {
    segment() = whole;
    std::memset(segment().data() + last + cut, 0, block_bytes - cut);
    const auto recovered = recover();
    ASSERT_OK(recovered);
    const bool content_gone = std::memcmp(segment().data(), whole.data(), whole.size()) != 0;
    ASSERT_EQ(recovered->records.size(), content_gone ? 4U : 5U) << "cut at " << cut;
  }
}

TEST_F(RecoveryTest, EveryFlippedBitOfAGroupIsSeen) {
  write_five(104);
  const std::size_t first = places[1].offset_bytes / block_bytes * block_bytes;
  const std::size_t used = group_header_bytes + 104 + record_entry_bytes;
  for (std::size_t at = 0; at < used; ++at) {
    segment()[first + at] ^= std::byte{0x10};
    const auto recovered = recover();
    segment()[first + at] ^= std::byte{0x10};
    ASSERT_OK(recovered);
    ASSERT_EQ(offsets(*recovered), (std::vector<std::int64_t>{0, 2, 3, 4})) << "byte " << at;
  }
}

TEST_F(RecoveryTest, AHoleIsScannedPastAndCounted) {
  write_five();
  segment()[places[1].offset_bytes + 10] ^= std::byte{1};
  segment()[places[2].offset_bytes + 10] ^= std::byte{1};
  const auto recovered = recover();
  ASSERT_OK(recovered);
  EXPECT_EQ(offsets(*recovered), (std::vector<std::int64_t>{0, 3, 4}));
  EXPECT_EQ(recovered->groups_torn, 2U);
  EXPECT_EQ(count(metric_group_after_hole), 1U);
}

TEST_F(RecoveryTest, WhatWasReadIsFlushedBeforeItIsReturned) {
  write_five();
  const std::uint64_t before = files.syncs;
  ASSERT_OK(recover());
  EXPECT_GE(files.syncs - before, old.segment_count);
}

TEST_F(RecoveryTest, AVolumeThatCannotFlushIsNotOpened) {
  write_five();
  files.sync_fails = [](const std::string& path) { return path.find("seg-") != std::string::npos; };
  const auto recovered = recover();
  EXPECT_FAILS(recovered, ErrorKind::io);
  EXPECT_NE(recovered.error().text.find("sick"), std::string::npos) << recovered.error().text;
}

TEST_F(RecoveryTest, AMissingRegisteredSegmentIsAnErrorNeverTheEnd) {
  write_five();
  files.drop("wal/" + old.session.to_string() + "/seg-00000");
  const auto recovered = recover();
  EXPECT_FAILS(recovered, ErrorKind::corrupt);
  EXPECT_NE(recovered.error().text.find("seg-00000 is missing"), std::string::npos) << recovered.error().text;
}

TEST_F(RecoveryTest, AShortRegisteredSegmentIsAnError) {
  write_five();
  segment().resize(segment_bytes / 2);
  EXPECT_FAILS(recover(), ErrorKind::corrupt);
  segment().resize(100);
  EXPECT_FAILS(recover(), ErrorKind::corrupt);
}

TEST_F(RecoveryTest, AForeignClusterIsRefusedByName) {
  write_five();
  Identity foreign = identity(3);
  foreign.cluster = {uuid(99)};
  {
    Broker b(runtime, foreign, options());
    const auto recovered = b.recover({old});
    EXPECT_FAILS(recovered, ErrorKind::invalid);
    EXPECT_NE(recovered.error().text.find(identity(2).cluster.to_string()), std::string::npos) << recovered.error().text;
  }
  // Also when only the segments are foreign: the volume file was moved away.
  files.drop("wal/VOLUME");
  Broker c(runtime, foreign, options());
  EXPECT_FAILS(c.recover({old}), ErrorKind::invalid);
}

TEST_F(RecoveryTest, OneRottenVolumeBlockIsHealedByTheOtherTwoAreRefusedWithAdvice) {
  write_five();
  files.bytes_of("wal/VOLUME")[20] ^= std::byte{1};
  ASSERT_OK(recover());
  files.bytes_of("wal/VOLUME")[block_bytes + 20] ^= std::byte{1};
  const auto recovered = recover();
  EXPECT_FAILS(recovered, ErrorKind::corrupt);
  EXPECT_NE(recovered.error().text.find("move the file away"), std::string::npos);
  files.drop("wal/VOLUME");
  const auto followed = recover();
  ASSERT_OK(followed);
  EXPECT_EQ(followed->records.size(), 5U);
}

TEST_F(RecoveryTest, ARottenSegmentHeaderDoesNotHideItsGroups) {
  write_five();
  segment()[5] ^= std::byte{1};
  const auto recovered = recover();
  ASSERT_OK(recovered);
  EXPECT_EQ(recovered->records.size(), 5U);
  EXPECT_EQ(count(metric_segment_header_damaged), 1U);
}

TEST_F(RecoveryTest, ANewerFormatIsRefusedByNumber) {
  const bytes::SlabRef volume = encode_volume(identity(2).cluster);
  write_five();
  auto& file = files.bytes_of("wal/VOLUME");
  for (std::size_t block = 0; block < volume_file_bytes; block += block_bytes) {
    file[block + 8] = std::byte{9};
    const std::uint32_t crc = bytes::crc32c(bytes::Bytes(file.data() + block, block_bytes - 4));
    std::memcpy(file.data() + block + block_bytes - 4, &crc, 4);
  }
  const auto recovered = recover();
  EXPECT_FAILS(recovered, ErrorKind::invalid);
  EXPECT_NE(recovered.error().text.find("format 9"), std::string::npos) << recovered.error().text;
}

TEST_F(RecoveryTest, TwoBrokersOnOneDirectoryAreToldSo) {
  Broker a(runtime, identity(2), options());
  ASSERT_OK(a.recover());
  ASSERT_OK(a.start());
  Broker b(runtime, identity(3), options());
  const auto recovered = b.recover();
  EXPECT_FAILS(recovered, ErrorKind::exists);
  EXPECT_NE(recovered.error().text.find("another weir is running"), std::string::npos) << recovered.error().text;
  a.stop();
  EXPECT_OK(b.recover());
  b.stop();
}

TEST_F(RecoveryTest, AGroupMovedToAnotherPlaceOrFileIsNotTaken) {
  write_five();
  const std::size_t from = places[0].offset_bytes / block_bytes * block_bytes;
  const std::size_t size = places[1].offset_bytes / block_bytes * block_bytes - from;
  std::memcpy(segment().data() + segment_bytes - size, segment().data() + from, size);
  const auto recovered = recover();
  ASSERT_OK(recovered);
  EXPECT_EQ(recovered->records.size(), 5U);
  EXPECT_EQ(count(metric_foreign_groups), 1U);
}

TEST_F(RecoveryTest, APayloadThatLooksLikeAGroupIsNotAGroup) {
  // A group inside a payload whose own group is torn: identity and place give it away.
  write_five();
  const std::size_t first = places[0].offset_bytes / block_bytes * block_bytes;
  const std::vector<std::byte> group(segment().begin() + static_cast<std::ptrdiff_t>(first),
                                     segment().begin() + static_cast<std::ptrdiff_t>(first + 2 * block_bytes));
  std::memcpy(segment().data() + first + block_bytes, group.data(), block_bytes);
  const auto recovered = recover();
  ASSERT_OK(recovered);
  EXPECT_EQ(offsets(*recovered), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

TEST_F(RecoveryTest, APayloadThatRottedLaterIsReportedWithItsPlace) {
  write_five();
  Broker b(runtime, identity(3), options());
  const auto recovered = b.recover({old});
  ASSERT_OK(recovered);
  segment()[recovered->records[2].place.offset_bytes] ^= std::byte{1};
  const auto read = runtime.run(b.appender().read(recovered->records[2].place));
  EXPECT_FAILS(read, ErrorKind::corrupt);
  EXPECT_NE(read.error().text.find("seg-00001"), std::string::npos) << read.error().text;
  EXPECT_OK(runtime.run(b.appender().read(recovered->records[1].place)));
  b.stop();
}

TEST_F(RecoveryTest, FilesOfAnUnknownSessionAreLeftAlone) {
  write_five();
  const RegisteredWal forgotten = std::exchange(old, RegisteredWal{});
  ASSERT_OK(recover());
  EXPECT_TRUE(files.exists("wal/" + forgotten.session.to_string() + "/seg-00000"));
}

}  // namespace
}  // namespace weir::wal::testing

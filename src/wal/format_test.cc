// The bytes on disk: golden files that are never rewritten, and every refusal of the parser.
#include "wal/format.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "wal/group.h"
#include "wal/testing/wal_fixture.h"

namespace weir::wal::testing {
namespace {

constexpr std::uint32_t segment_bytes = 64U << 10U;

std::string golden(const std::string& name) {
  std::ifstream file(std::string(WEIR_ROOM_DIR) + "/testdata/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A golden file that is not there is written (once, by whoever adds a format); one that is there is only compared.
void expect_golden(const std::string& name, bytes::Bytes made) {
  const std::string stored = golden(name);
  if (stored.empty()) {
    std::ofstream(std::string(WEIR_ROOM_DIR) + "/testdata/" + name, std::ios::binary) << bytes::as_text(made);
    FAIL() << name << " was missing and has been written: look at it, then land it. It is never rewritten";
  }
  EXPECT_TRUE(stored == bytes::as_text(made)) << name << " differs: the format has changed. Old bytes must stay readable";
}

Group sample_group() {
  Group group;
  group.slab = bytes::SlabRef::allocate(8192, block_bytes);
  std::memset(group.slab.writable().data(), 0, 8192);
  group.fill_bytes = group_header_bytes;
  for (int i = 0; i < 2; ++i) {
    const std::string text = payload_text(partition(7, i), 40 + i, 61 + 30U * static_cast<unsigned>(i));
    GroupRecord record;
    record.entry.header = {.partition = partition(7, i),
                           .epoch = model::LeaderEpoch(3 + i),
                           .base_offset = model::Offset(40 + i),
                           .offset_count = 5,
                           .kind = i == 0 ? RecordKind::data : RecordKind::void_range};
    record.entry.payload_offset_bytes = static_cast<std::uint32_t>(group.fill_bytes);
    record.entry.payload_length_bytes = static_cast<std::uint32_t>(text.size());
    record.entry.payload_crc = bytes::crc32c(bytes::as_bytes(text));
    std::memcpy(group.front() + group.fill_bytes, text.data(), text.size());
    group.fill_bytes += round_up(text.size(), payload_alignment_bytes);
    group.records.push_back(record);
  }
  group.statements = {{.partition = partition(7, 0), .high_watermark = model::Offset(40)},
                      {.partition = partition(9, 4), .high_watermark = model::Offset(1LL << 40U)}};
  group.seal();
  group.write_header({.identity = identity(2),
                      .lsn = model::Lsn(17),
                      .durable_lsn = model::Lsn(15),
                      .keyspace_revision = 99,
                      .segment = 3,
                      .position_bytes = 8192});
  return group;
}
const ExamineContext context{.identity = identity(2), .segment = 3, .segment_bytes = segment_bytes};

TEST(WalFormat, GoldenFiles) {
  expect_golden("volume-v1.bin", bytes::Bytes(encode_volume(identity(2).cluster).writable()));
  expect_golden(
      "segment-header-v1.bin",
      bytes::Bytes(encode_segment_header({.identity = identity(2), .segment = 3, .segment_bytes = segment_bytes}).writable()));
  expect_golden("segment-stub-v1.bin",
                bytes::Bytes(encode_segment_header(
                                 {.identity = identity(2), .segment = 3, .segment_bytes = segment_bytes, .retired = true})
                                 .writable()));
  const Group group = sample_group();
  expect_golden("group-v1.bin", group.pieces().at(0));
}

TEST(WalFormat, StoredGoldenBytesReadAsWhatTheySay) {
  const std::string bytes_of_group = golden("group-v1.bin");
  ASSERT_GE(bytes_of_group.size(), block_bytes);
  const ExaminedGroup group = examine_group(bytes::as_bytes(bytes_of_group), context, 8192);
  ASSERT_EQ(group.state, GroupState::valid);
  EXPECT_EQ(group.header.lsn, model::Lsn(17));
  EXPECT_EQ(group.header.durable_lsn, model::Lsn(15));
  EXPECT_EQ(group.header.keyspace_revision, 99U);
  ASSERT_EQ(group.records.size(), 2U);
  EXPECT_EQ(group.records[0].header.partition, partition(7, 0));
  EXPECT_EQ(group.records[1].header.epoch, model::LeaderEpoch(4));
  EXPECT_EQ(group.records[1].header.base_offset, model::Offset(41));
  EXPECT_EQ(group.records[1].header.offset_count, 5);
  EXPECT_EQ(group.records[1].header.kind, RecordKind::void_range);
  EXPECT_EQ(group.records[1].payload_length_bytes, 91U);
  ASSERT_EQ(group.statements.size(), 2U);
  EXPECT_EQ(group.statements[1].partition, partition(9, 4));
  EXPECT_EQ(group.statements[1].high_watermark, model::Offset(1LL << 40U));
  const auto cluster = decode_volume(bytes::as_bytes(golden("volume-v1.bin")));
  ASSERT_OK(cluster);
  EXPECT_EQ(*cluster, identity(2).cluster);
  const auto header = decode_segment_header(bytes::as_bytes(golden("segment-stub-v1.bin")));
  ASSERT_OK(header);
  EXPECT_TRUE(header->retired);
  EXPECT_EQ(header->segment, 3U);
  EXPECT_EQ(header->segment_bytes, segment_bytes);
  EXPECT_EQ(header->identity.session, identity(2).session);
}

TEST(WalFormat, AnotherIdentityOrPlaceIsForeign) {
  const Group group = sample_group();
  const bytes::Bytes window = group.pieces().at(0);
  ExamineContext other = context;
  other.segment = 4;
  EXPECT_EQ(examine_group(window, other, 8192).state, GroupState::foreign);
  EXPECT_EQ(examine_group(window, context, 4096).state, GroupState::foreign);
  for (int which = 0; which < 3; ++which) {
    other = context;
    if (which == 0) other.identity.cluster = {uuid(50)};
    if (which == 1) other.identity.session = {uuid(50)};
    if (which == 2) other.identity.wal = {uuid(50)};
    EXPECT_EQ(examine_group(window, other, 8192).state, GroupState::foreign) << which;
  }
}

TEST(WalFormat, AnotherLsnMakesAnOldTableInvalid) {
  // A new header over an old lap's table and payloads: nothing but the seed of the table's CRC differs.
  const Group group = sample_group();
  std::byte* at = group.front();
  std::uint64_t lsn = 18;
  std::memcpy(at + 64, &lsn, 8);
  const std::uint32_t crc = bytes::crc32c(bytes::Bytes(at, group_header_bytes - 4));
  std::memcpy(at + group_header_bytes - 4, &crc, 4);
  EXPECT_EQ(examine_group(group.pieces().at(0), context, 8192).state, GroupState::torn);
}

TEST(WalFormat, AFlippedBitAnywhereInTheHeaderIsDamageNotAbsence) {
  // What is absent is freed; what is damaged is kept, because somebody may repair it.
  for (std::size_t at = 0; at < group_header_bytes; ++at) {
    const Group group = sample_group();
    group.front()[at] ^= std::byte{4};
    EXPECT_EQ(examine_group(group.pieces().at(0), context, 8192).state, GroupState::torn) << "byte " << at;
  }
}

TEST(WalFormat, LengthsThatDoNotFitAreTornWhateverTheyClaim) {
  const struct {
    std::size_t at;
    std::uint32_t value;
  } lies[] = {{96, 0},           {96, 100},         {96, 0xFFFFF000},  {96, segment_bytes}, {100, 0},
              {100, 0xFFFFFFF0}, {104, 0xFFFFFFFF}, {108, 0xFFFFFFFF}, {104, 5000}};
  for (const auto& lie : lies) {
    const Group group = sample_group();
    std::byte* at = group.front();
    std::memcpy(at + lie.at, &lie.value, 4);
    const std::uint32_t crc = bytes::crc32c(bytes::Bytes(at, group_header_bytes - 4));
    std::memcpy(at + group_header_bytes - 4, &crc, 4);
    EXPECT_EQ(examine_group(group.pieces().at(0), context, 8192).state, GroupState::torn) << lie.at << " = " << lie.value;
  }
}

TEST(WalFormat, ATableInItsOwnSlabGivesTheSameGroup) {
  Group group = sample_group();
  Group split;
  split.slab = bytes::SlabRef::allocate(4096, block_bytes);
  std::memcpy(split.slab.writable().data(), group.front(), 4096);
  split.begin_bytes = 0;
  split.fill_bytes = group.fill_bytes;
  split.records = group.records;
  for (int i = 0; i < 300; ++i) split.statements.push_back({.partition = partition(9, i), .high_watermark = model::Offset(i)});
  split.seal();
  ASSERT_TRUE(split.table_slab);
  split.write_header({.identity = identity(2), .lsn = model::Lsn(17), .segment = 3, .position_bytes = 8192});
  std::vector<std::byte> all;
  for (const bytes::Bytes piece : split.pieces()) all.insert(all.end(), piece.begin(), piece.end());
  EXPECT_EQ(all.size(), split.total_bytes);
  const ExaminedGroup read = examine_group(all, context, 8192);
  ASSERT_EQ(read.state, GroupState::valid);
  EXPECT_EQ(read.records.size(), 2U);
  EXPECT_EQ(read.statements.size(), 300U);
  const ExaminedGroup partial = examine_group(bytes::Bytes(all).first(4096), context, 8192);
  EXPECT_EQ(partial.state, GroupState::need_more);
  EXPECT_EQ(partial.bytes_needed, split.total_bytes);
}

}  // namespace
}  // namespace weir::wal::testing

#include "model/records.h"

#include <string>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"

namespace weir::model {
namespace {

std::vector<RecordInput> three() {
  return {{.key = "k1", .value = "v1", .timestamp = 1000, .headers = {{"h", "x"}, {"n", std::nullopt}}},
          {.key = std::nullopt, .value = "v2", .timestamp = 900},
          {.key = "k3", .value = std::nullopt, .timestamp = 1500}};
}

void expect_three(bytes::Bytes batch) {
  auto reader = RecordReader::open(batch);
  ASSERT_TRUE(reader);
  auto first = reader->next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->offset, Offset(40));
  EXPECT_EQ((*first)->timestamp, 1000);
  EXPECT_EQ(bytes::as_text(*(*first)->key), "k1");
  ASSERT_EQ((*first)->headers.size(), 2U);
  EXPECT_EQ((*first)->headers[0].key, "h");
  EXPECT_FALSE((*first)->headers[1].value);
  auto second = reader->next();
  ASSERT_TRUE(second && *second);
  EXPECT_FALSE((*second)->key);
  EXPECT_EQ((*second)->timestamp, 900);
  auto third = reader->next();
  ASSERT_TRUE(third && *third);
  EXPECT_EQ((*third)->offset, Offset(42));
  EXPECT_FALSE((*third)->value);
  auto end = reader->next();
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST(Records, BuiltBatchesPassTheCheckAndReadBackInEveryCodec) {
  for (int type = 0; type <= 4; ++type) {
    const auto batch = build_batch({.base_offset = Offset(40), .compression = static_cast<CompressionType>(type)}, three());
    ASSERT_TRUE(batch);
    const auto header = check_batch(batch->view());
    ASSERT_TRUE(header) << to_string(header.error());
    EXPECT_EQ(header->max_timestamp, 1500);
    EXPECT_EQ(header->base_timestamp, 1000);
    EXPECT_EQ(header->record_count, 3);
    expect_three(batch->view());
  }
}

TEST(Records, RecompressKeepsRecordsAndHeader) {
  const auto batch = build_batch({.base_offset = Offset(40),
                                  .compression = CompressionType::gzip,
                                  .producer_id = ProducerId(9),
                                  .producer_epoch = ProducerEpoch(2),
                                  .base_sequence = Sequence(77)},
                                 three());
  ASSERT_TRUE(batch);
  for (int type = 0; type <= 4; ++type) {
    const auto other = recompress(batch->view(), static_cast<CompressionType>(type));
    ASSERT_TRUE(other);
    const auto header = check_batch(other->view());
    ASSERT_TRUE(header);
    EXPECT_EQ(header->compression(), static_cast<CompressionType>(type));
    EXPECT_EQ(header->producer_id, ProducerId(9));
    EXPECT_EQ(header->base_sequence, Sequence(77));
    expect_three(other->view());
  }
}

TEST(Records, MarkersRoundTrip) {
  for (const bool commit : {false, true}) {
    const auto batch = build_end_marker(ProducerId(5), ProducerEpoch(3), {.commit = commit, .coordinator_epoch = 17}, 99);
    ASSERT_TRUE(batch);
    const auto header = check_batch(batch->view());
    ASSERT_TRUE(header) << to_string(header.error());
    EXPECT_TRUE(header->is_control());
    EXPECT_TRUE(header->is_transactional());
    const auto marker = read_end_marker(batch->view());
    ASSERT_TRUE(marker);
    EXPECT_EQ(marker->commit, commit);
    EXPECT_EQ(marker->coordinator_epoch, 17);
  }
}

// Every single damaged byte behind the header gives an error or other records, never a read outside (ASan watches).
TEST(Records, DamagedRecordsNeverReadOutside) {
  const auto batch = build_batch({}, three());
  ASSERT_TRUE(batch);
  int refused = 0;
  for (std::size_t i = batch_header_bytes; i < batch->size(); ++i) {
    std::string copy(batch->text());
    copy[i] = static_cast<char>(copy[i] ^ 0x55);
    auto reader = RecordReader::open(bytes::as_bytes(copy));
    ASSERT_TRUE(reader);
    for (int n = 0; n < 4; ++n) {
      const auto record = reader->next();
      if (!record) {
        ++refused;
        break;
      }
      if (!*record) break;
    }
  }
  EXPECT_GT(refused, 10);
}

}  // namespace
}  // namespace weir::model

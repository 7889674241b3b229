// Records of the topic of groups: their bytes, and the state they make.
#include "groups/core/stored.h"

#include <gtest/gtest.h>

#include "groups/core/records.h"

namespace weir::groups {
namespace {

TopicIndex at(const std::string& topic, std::int32_t index = 0) {
  return {.topic = topic, .partition = model::PartitionIndex(index)};
}
StoredOffset offset(std::int64_t value) { return {.offset = model::Offset(value), .metadata = "n", .commit_ms = 7}; }

std::string hex(const bytes::Buffer& buffer) {
  std::string out;
  for (const std::byte byte : buffer.view()) out += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return out;
}

class Stored : public ::testing::Test {
 protected:
  void put(const std::string& group, const TopicIndex& where, std::int64_t value,
           std::optional<model::ProducerId> transaction = std::nullopt) {
    apply({.key = offset_key(group, where), .value = offset_value(offset(value))}, transaction);
  }
  void apply(const Record& record, std::optional<model::ProducerId> transaction = std::nullopt) {
    auto applied = state.apply(record.key.view(), record.value ? std::optional(record.value->view()) : std::nullopt,
                               {.offset = model::Offset(end++), .transaction = transaction});
    ASSERT_TRUE(applied) << applied.error().text;
  }
  /// All live records of the state, by checkpoint in parts.
  std::vector<Record> live(const StoredState& of, std::size_t bytes_max = 1) {
    std::vector<Record> records;
    std::string cursor;
    do { cursor = of.checkpoint(cursor, bytes_max, records); } while (!cursor.empty());
    return records;
  }
  StoredState state;
  std::int64_t end = 0;
};

// As Kafka writes them: key type 1, then group, topic, partition; value version 3.
TEST_F(Stored, RecordsAreKafkas) {
  EXPECT_EQ(hex(offset_key("g", at("t", 2))),
            "0001"
            "000167"
            "000174"
            "00000002");
  EXPECT_EQ(hex(group_key("g")),
            "0002"
            "000167");
  EXPECT_EQ(hex(offset_value(offset(5))),
            "0003"
            "0000000000000005"
            "ffffffff"
            "00016e"
            "0000000000000007");
  StoredOffset with_expiry = offset(5);
  with_expiry.expire_ms = 9;
  EXPECT_EQ(hex(offset_value(with_expiry)),
            "0001"
            "0000000000000005"
            "00016e"
            "0000000000000007"
            "0000000000000009");
  EXPECT_EQ(read_offset_value(offset_value(with_expiry).view()), with_expiry);
}

TEST_F(Stored, TheNewestRecordOfAKeyWins) {
  put("g", at("t"), 1);
  put("g", at("t"), 2);
  put("g", at("u"), 3);
  EXPECT_EQ(state.find("g")->offsets.at(at("t")).offset.value(), 2);
  EXPECT_EQ(state.offset_count(), 2U);
  apply({.key = offset_key("g", at("t")), .value = std::nullopt});
  apply({.key = offset_key("g", at("u")), .value = std::nullopt});
  EXPECT_EQ(state.find("g"), nullptr);
  EXPECT_EQ(state.live_bytes(), 0U);
}

TEST_F(Stored, OffsetsOfATransactionCountWhenItCommits) {
  const model::ProducerId committed(1);
  const model::ProducerId aborted(2);
  put("g", at("t"), 1);
  put("g", at("t"), 10, committed);
  put("g", at("t"), 20, aborted);
  EXPECT_TRUE(state.find("g")->has_pending(at("t")));
  EXPECT_EQ(state.find("g")->offsets.at(at("t")).offset.value(), 1);
  EXPECT_EQ(state.first_open(), model::Offset(1));
  state.end_transaction(aborted, false);
  state.end_transaction(committed, true);
  EXPECT_FALSE(state.find("g")->has_pending(at("t")));
  EXPECT_EQ(state.find("g")->offsets.at(at("t")).offset.value(), 10);
  EXPECT_EQ(state.first_open(), std::nullopt);
}

TEST_F(Stored, ACheckpointIsTheWholeState) {
  for (int g = 0; g < 5; ++g) {
    for (int p = 0; p < 3; ++p) put(fmt::format("g{}", g), at("t", p), g * 10 + p);
  }
  wire::GroupMetadataValue value;
  value.protocol_type = "consumer";
  value.generation = 3;
  apply({.key = group_key("g1"), .value = group_value(value)});
  // A kind of record that this version does not know: kept, and given back.
  apply({.key = bytes::Buffer::copy_of(std::string_view("\0\x63key", 5)),
         .value = bytes::Buffer::copy_of(std::string_view("v"))});
  std::uint64_t bytes = 0;
  StoredState copy;
  std::int64_t at_offset = 0;
  for (const Record& record : live(state)) {
    bytes += record_bytes(record.key.size(), record.value->size());
    ASSERT_TRUE(copy.apply(record.key.view(), record.value->view(), {.offset = model::Offset(at_offset++)}));
  }
  EXPECT_EQ(bytes, state.live_bytes());
  EXPECT_EQ(copy.live_bytes(), state.live_bytes());
  EXPECT_EQ(copy.offset_count(), 15U);
  ASSERT_EQ(live(copy).size(), live(state, 1U << 20U).size());
  for (int g = 0; g < 5; ++g) {
    EXPECT_EQ(copy.find(fmt::format("g{}", g))->offsets, state.find(fmt::format("g{}", g))->offsets);
  }
  EXPECT_TRUE(copy.find("g1")->metadata.has_value());
}

TEST_F(Stored, ANewerFormatIsRefused) {
  const bytes::Buffer key = offset_key("g", at("t"));
  const bytes::Buffer value = bytes::Buffer::copy_of(std::string_view("\0\x63", 2));
  EXPECT_FALSE(state.apply(key.view(), value.view(), {.offset = model::Offset(0)}));
  EXPECT_EQ(state.find("g"), nullptr);
}

}  // namespace
}  // namespace weir::groups

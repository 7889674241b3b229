// wire/reader_test.cc: hostile lengths and counts, and what the failures say.
#include "wire/reader.h"

#include <initializer_list>

#include <gtest/gtest.h>

namespace weir::wire {
namespace {

std::vector<std::byte> frame(std::initializer_list<int> values) {
  std::vector<std::byte> data;
  for (const int value : values) data.push_back(static_cast<std::byte>(value));
  return data;
}

TEST(Reader, ReadsFixedWidthsBigEndian) {
  const auto data = frame({0x01, 0x02, 0xFF, 0xFF, 0xFF, 0xFE, 0x00});
  Reader reader(data);
  EXPECT_EQ(reader.get<std::int16_t>(), 0x0102);
  EXPECT_EQ(reader.get<std::int32_t>(), -2);
  EXPECT_FALSE(reader.get_boolean());
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.left(), 0U);
}

TEST(Reader, FirstFailureSticksAndSaysWhere) {
  const auto data = frame({0, 1, 2});
  Reader reader(data);
  EXPECT_EQ(reader.get<std::int16_t>(), 1);
  EXPECT_EQ(reader.get<std::int32_t>(), 0);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.get<std::int8_t>(), 0);  // nothing more is read, although a byte was left
  EXPECT_EQ(reader.error("Fetch", 4).text, "Fetch v4, byte 2: 4 bytes expected, 1 left");
  EXPECT_EQ(reader.error("Fetch", 4).kind, base::ErrorKind::invalid);
}

TEST(Reader, VarintEnds) {
  struct Case {
    std::vector<std::byte> data;
    bool ok;
    std::uint32_t value;
  };
  const Case cases[] = {{frame({0x00}), true, 0},
                        {frame({0x7F}), true, 127},
                        {frame({0x80, 0x01}), true, 128},
                        {frame({0xFF, 0xFF, 0xFF, 0xFF, 0x0F}), true, 0xFFFFFFFFU},
                        {frame({0xFF, 0xFF, 0xFF, 0xFF, 0x1F}), false, 0},
                        {frame({0x80, 0x80, 0x80, 0x80, 0x80, 0x01}), false, 0},
                        {frame({0x80}), false, 0},
                        {{}, false, 0}};
  for (const Case& c : cases) {
    Reader reader(c.data);
    EXPECT_EQ(reader.get_varint(), c.value);
    EXPECT_EQ(reader.ok(), c.ok);
  }
}

TEST(Reader, ACountIsComparedWithTheRestOfTheFrame) {
  const auto data = frame({0x00, 0x00, 0x00, 0x03, 1, 2, 3, 4, 5, 6});
  Reader fits(data);
  EXPECT_EQ(fits.get_array_count(false, 2, 16), 3);
  Reader too_many(data);
  EXPECT_EQ(too_many.get_array_count(false, 3, 16), 0);
  EXPECT_EQ(too_many.error("M", 1).text, "M v1, byte 4: an array of 3 items cannot fit in the 6 bytes left");
}

TEST(Reader, ArraysTogetherStayUnderTheBudget) {
  const auto data = frame({0x00, 0x00, 0x00, 0x02, 1, 2});
  Reader reader(data);
  EXPECT_EQ(reader.get_array_count(false, 1, decode_memory_bytes_min), 0);
  EXPECT_FALSE(reader.ok());
  EXPECT_NE(reader.error("M", 1).text.find("over the budget"), std::string::npos);
}

TEST(Reader, NegativeLengthsAndNulls) {
  const auto minus_two = frame({0xFF, 0xFE});
  Reader bad(minus_two);
  (void)bad.get_nullable_string(false);
  EXPECT_FALSE(bad.ok());
  const auto null = frame({0xFF, 0xFF});
  Reader absent(null);
  EXPECT_EQ(absent.get_nullable_string(false), std::nullopt);
  EXPECT_TRUE(absent.ok());
  Reader required(null);
  EXPECT_EQ(required.get_string(false), "");
  EXPECT_EQ(required.error("M", 0).text, "M v0, byte 2: null in a field, which cannot be null");
}

TEST(Reader, StringsHaveKafkasLimitInCompactFormToo) {
  std::vector<std::byte> data = frame({0x81, 0x80, 0x02});  // a length of 32768
  data.resize(data.size() + 32768);
  Reader reader(data);
  EXPECT_EQ(reader.get_string(true), "");
  EXPECT_FALSE(reader.ok());
}

TEST(Reader, ATagMustEndWhereItSays) {
  const auto data = frame({0x01, 0x00, 0x03, 1, 2, 3});
  Reader reader(data);
  EXPECT_EQ(reader.get_tag_count(), 1U);
  const Reader::Tag tag = reader.get_tag();
  EXPECT_EQ(reader.get<std::int16_t>(), 0x0102);
  reader.end_tag(tag);
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace weir::wire

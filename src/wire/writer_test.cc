// wire/writer_test.cc: buffers that travel without a copy, failures that surface in finish(), tags around them.
#include "wire/writer.h"

#include <gtest/gtest.h>

#include "wire/fetch.h"
#include "wire/reader.h"

namespace weir::wire {
namespace {

TEST(Writer, RecordBuffersAreSharedNotCopied) {
  const bytes::Buffer first = bytes::Buffer::copy_of("batch one");
  const bytes::Buffer second = bytes::Buffer::copy_of("batch two");
  FetchResponse response;
  auto& partition = response.responses.emplace_back().partitions.emplace_back();
  partition.records = Records(bytes::BufferList{first, second});
  Writer writer;
  response.encode(writer, 13);
  const auto list = writer.finish();
  ASSERT_TRUE(list.has_value());
  ASSERT_EQ(list->size(), 4U);
  EXPECT_EQ((*list)[1].data(), first.data());
  EXPECT_EQ((*list)[2].data(), second.data());
  const std::vector<std::byte> all = flatten(*list);
  Reader reader(all);
  const auto decoded = FetchResponse::decode(reader, 13);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(bytes::as_text(decoded->responses.at(0).partitions.at(0).records.view()), "batch onebatch two");
}

TEST(Writer, GrowsPastItsFirstGuess) {
  Writer writer(1);
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    writer.put(static_cast<std::int8_t>(i & 0x7F));
    expected += static_cast<char>(i & 0x7F);
  }
  const auto list = writer.finish();
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(bytes::as_text(flatten(*list)), expected);
}

TEST(Writer, ANullWhereNoneIsAllowedFails) {
  Writer writer;
  writer.put_nullable_string(std::nullopt, true, false, "name");
  const auto list = writer.finish();
  ASSERT_FALSE(list.has_value());
  EXPECT_EQ(list.error().kind, base::ErrorKind::invalid);
  EXPECT_EQ(list.error().text, "name is null, which this version cannot carry");
}

TEST(Writer, AStringOver32767BytesFails) {
  const std::string text(32768, 'x');
  Writer writer;
  writer.put_string(text, false, "client_id");
  EXPECT_FALSE(writer.finish().has_value());
}

TEST(Writer, TaggedValuesGetTheirSizeInFront) {
  Writer writer;
  const std::size_t mark = writer.begin_tag(7);
  for (int i = 0; i < 200; ++i) writer.put(static_cast<std::int8_t>(i));
  writer.end_tag(mark);
  const auto list = writer.finish();
  ASSERT_TRUE(list.has_value());
  const std::vector<std::byte> all = flatten(*list);
  Reader reader(all);
  const Reader::Tag tag = reader.get_tag();
  EXPECT_EQ(tag.id, 7U);
  EXPECT_EQ(tag.end, all.size());
  EXPECT_EQ(reader.get<std::int8_t>(), 0);
}

TEST(Writer, FrameLengthCountsBorrowedBytes) {
  Writer writer;
  writer.begin_frame();
  writer.put_records(Records(bytes::BufferList{bytes::Buffer::copy_of("12345")}), false, false, "records");
  const auto list = writer.finish();
  ASSERT_TRUE(list.has_value());
  const std::vector<std::byte> all = flatten(*list);
  EXPECT_EQ(bytes::load_be<std::int32_t>(all.data()), 9);
  EXPECT_EQ(all.size(), 13U);
}

}  // namespace
}  // namespace weir::wire

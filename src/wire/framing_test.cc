// wire/framing_test.cc: frame lengths, header versions, and strangers at the port.
#include "wire/framing.h"

#include <gtest/gtest.h>

#include "wire/api_versions.h"

namespace weir::wire {
namespace {

base::Result<std::size_t> length_of(std::string_view four, std::size_t limit = 1000) {
  return parse_frame_length(std::span<const std::byte, frame_length_bytes>(bytes::as_bytes(four).data(), frame_length_bytes),
                            limit);
}

TEST(Framing, LengthsHaveLimits) {
  using namespace std::string_view_literals;
  EXPECT_EQ(length_of("\0\0\0\x0a"sv).value(), 10U);
  EXPECT_EQ(length_of("\0\0\x03\xe8"sv).value(), 1000U);
  for (const auto prefix :
       {"\0\0\0\0"sv, "\xff\xff\xff\xff"sv, "\x7f\xff\xff\xff"sv, "\0\0\x03\xe9"sv, "\0\0\0\x09"sv, "\x80\0\0\0"sv}) {
    EXPECT_FALSE(length_of(prefix).has_value());
  }
  EXPECT_EQ(length_of("\0\0\x03\xe9"sv).error().text, "a frame of 1001 bytes; 10 to 1000 are allowed");
}

TEST(Framing, OtherProtocolsAreNamed) {
  using namespace std::string_view_literals;
  EXPECT_EQ(length_of("GET ").error().text, "an HTTP request on a plaintext Kafka listener");
  EXPECT_EQ(length_of("\x16\x03\x01\x02"sv).error().text, "a TLS handshake on a plaintext Kafka listener");
}

TEST(Framing, RequestHeaderRoundTrips) {
  for (const ApiInfo& api : api_table()) {
    for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
      Writer writer;
      write_request_header(writer, api, version, 42, "tester");
      const auto list = writer.finish();
      ASSERT_TRUE(list.has_value());
      const auto data = flatten(*list);
      Reader reader(data);
      const auto header = parse_request_header(reader);
      ASSERT_TRUE(header.has_value()) << header.error().text;
      EXPECT_EQ(header->api, &api);
      EXPECT_EQ(header->version, version);
      EXPECT_EQ(header->correlation_id, 42);
      EXPECT_EQ(header->client_id, "tester");
      EXPECT_TRUE(header->version_supported);
      EXPECT_EQ(reader.left(), 0U);
    }
  }
}

TEST(Framing, UnknownVersionsAndKeys) {
  Writer writer;
  write_request_header(writer, api_info(ApiKey::api_versions), 99, 7, std::nullopt);
  const auto data = flatten(writer.finish().value());
  Reader reader(data);
  const auto header = parse_request_header(reader);
  ASSERT_TRUE(header.has_value());
  EXPECT_FALSE(header->version_supported);
  EXPECT_EQ(header->correlation_id, 7);
  EXPECT_EQ(header->client_id, std::nullopt);

  std::vector<std::byte> unknown(12);
  unknown[0] = std::byte{0x7F};
  Reader stranger(unknown);
  EXPECT_EQ(parse_request_header(stranger).error().text, "unknown API key 32512 (version 0)");
}

TEST(Framing, ApiVersionsAlwaysHasTheOldResponseHeader) {
  const auto frame = flatten(encode_response(ApiVersionsResponse{}, 3, 5).value());
  EXPECT_EQ(bytes::load_be<std::int32_t>(frame.data()), static_cast<std::int32_t>(frame.size() - 4));
  // correlation id, then at once the error code; no tag count between them
  EXPECT_EQ(bytes::load_be<std::int32_t>(frame.data() + 4), 5);
  Reader reader(bytes::Bytes(frame).subspan(8));
  EXPECT_TRUE(ApiVersionsResponse::decode(reader, 3).has_value());
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_EQ(response_header_version(api_info(ApiKey::fetch), 12), 1);
  EXPECT_EQ(response_header_version(api_info(ApiKey::fetch), 11), 0);
}

TEST(Framing, ProduceIsAdvertisedFromZeroButDecodedFromThree) {
  const ApiInfo& produce = api_info(ApiKey::produce);
  EXPECT_EQ(produce.advertised_min, 0);
  EXPECT_EQ(produce.version_min, 3);
  EXPECT_EQ(api_info(ApiKey::init_producer_id).version_max, 6);
  EXPECT_EQ(api_info(ApiKey::init_producer_id).version_max_stable, 5);
}

}  // namespace
}  // namespace weir::wire

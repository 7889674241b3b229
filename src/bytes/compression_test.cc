#include "bytes/compression.h"

#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "bytes/endian.h"
#include "bytes/varint.h"

namespace weir::bytes {
namespace {

constexpr Codec all_codecs[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

std::string sample(std::size_t size) {
  std::string text;
  std::uint32_t state = 7;
  while (text.size() < size) {
    state = state * 1664525U + 1013904223U;
    text +=
        "field-" + std::to_string(state % 1000) + (state % 5 == 0 ? std::string(40, 'x') : std::string(1, char(state >> 24)));
  }
  text.resize(size);
  return text;
}

TEST(Compression, RoundTripsAtEverySizeClass) {
  for (const Codec codec : all_codecs) {
    for (const std::size_t size : {1U, 100U, 32768U, 32769U, 65536U, 1000000U}) {
      const std::string plain = sample(size);
      const auto packed = compress(codec, as_bytes(plain));
      ASSERT_TRUE(packed);
      const auto back = decompress(codec, packed->view(), size);
      ASSERT_TRUE(back) << int(codec) << " " << size << " " << back.error().text;
      EXPECT_EQ(back->text(), plain);
    }
  }
}

TEST(Compression, OutputIsBounded) {
  const std::string plain(1 << 20, 'a');
  for (const Codec codec : all_codecs) {
    const auto packed = compress(codec, as_bytes(plain));
    ASSERT_TRUE(packed);
    EXPECT_TRUE(decompress(codec, packed->view(), plain.size()));
    const auto refused = decompress(codec, packed->view(), plain.size() - 1);
    ASSERT_FALSE(refused) << int(codec);
    EXPECT_EQ(refused.kind(), base::ErrorKind::invalid);
  }
}

TEST(Compression, EveryTruncationIsRefused) {
  const std::string plain = sample(3000);
  for (const Codec codec : all_codecs) {
    const auto packed = compress(codec, as_bytes(plain));
    ASSERT_TRUE(packed);
    for (std::size_t size = 0; size < packed->size(); ++size) {
      const auto back = decompress(codec, packed->view().first(size), 10000);
      // A cut exactly between xerial blocks is a shorter valid stream; it never shows other bytes.
      if (back) EXPECT_EQ(back->text(), plain.substr(0, back->size())) << int(codec) << " " << size;
      if (back) EXPECT_LT(back->size(), plain.size());
    }
  }
}

TEST(Compression, ReadsRawSnappyAndRefusesALyingLength) {
  // Raw snappy of "abc": length 3, literal of 3 bytes.
  const char raw[] = {3, 2 << 2, 'a', 'b', 'c'};
  const auto back = decompress(Codec::snappy, as_bytes(std::string_view(raw, sizeof raw)), 100);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->text(), "abc");
  // States 2^31 bytes in a block of a few.
  const unsigned char lie[] = {0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0, 'a'};
  EXPECT_FALSE(decompress(Codec::snappy, as_bytes(std::string_view(reinterpret_cast<const char*>(lie), sizeof lie)),
                          std::size_t{1} << 33U));
}

TEST(Varint, RoundTripsAndRefusesTooLong) {
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1}, std::int64_t{63}, std::int64_t{-64},
                                   std::int64_t{64}, std::int64_t{1} << 40, INT64_MAX, INT64_MIN}) {
    std::vector<std::byte> data;
    put_varint(data, value);
    std::size_t at = 0;
    EXPECT_EQ(get_varint(data, at), value);
    EXPECT_EQ(at, data.size());
    data.pop_back();
    at = 0;
    EXPECT_FALSE(get_varint(data, at));
  }
  const std::vector<std::byte> endless(11, std::byte{0xFF});
  std::size_t at = 0;
  EXPECT_FALSE(get_varint(endless, at));
}

}  // namespace
}  // namespace weir::bytes

#include "bytes/crc32c.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace weir::bytes {
namespace {

std::vector<std::byte> random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> data(size);
  for (std::byte& b : data) b = static_cast<std::byte>(random());
  return data;
}

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0})), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xFF})), 0x62A8AB43U);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, FastAndPortableAgreeOnAllSmallSizes) {
  for (std::size_t size = 0; size < 300; ++size) {
    const auto data = random_bytes(size, static_cast<unsigned>(size));
    ASSERT_EQ(crc32c(data), crc32c_portable(data)) << size;
  }
}

TEST(Crc32c, ContinuesAndCombinesAtEverySplit) {
  const auto data = random_bytes(257, 7);
  const Bytes all(data);
  for (std::size_t split = 0; split <= data.size(); ++split) {
    const std::uint32_t front = crc32c(all.first(split));
    ASSERT_EQ(crc32c(all.subspan(split), front), crc32c(all)) << split;
    ASSERT_EQ(crc32c_combine(front, crc32c(all.subspan(split)), data.size() - split), crc32c(all)) << split;
  }
}

}  // namespace
}  // namespace weir::bytes

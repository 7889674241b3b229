#include "cache/core/slab_format.h"

#include <random>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"

namespace weir::cache::slab {
namespace {

constexpr std::uint32_t slab_bytes = 1U << 20U;

SlabName sample_name() {
  SlabName name{.index = 3, .generation = 77};
  name.cluster.bytes.fill(9);
  return name;
}

Entry sample_entry(std::uint8_t object, std::uint64_t position, std::uint32_t place, bytes::Bytes payload) {
  Entry entry{
      .place = place, .payload_bytes = static_cast<std::uint32_t>(payload.size()), .payload_crc = bytes::crc32c(payload)};
  entry.id.object.bytes.fill(object);
  entry.id.position = position;
  return entry;
}

std::vector<std::byte> bytes_of(std::size_t count) {
  std::vector<std::byte> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<std::byte>(i * 37 + 11);
  return out;
}

std::vector<std::byte> block_of(const SlabName& name, const Entry& entry, bytes::Bytes payload) {
  std::vector<std::byte> block(space_of(payload.size()));
  encode_block_head(name, entry, bytes::MutableBytes(block).first(block_head_bytes));
  std::ranges::copy(payload, block.begin() + block_head_bytes);
  return block;
}

// The bytes of version 1, once and for ever: a change must raise the version, or an old cache would be read as a new one.
TEST(SlabFormat, VersionOneStaysAsItIs) {
  std::vector<std::byte> page(page_bytes);
  encode_header(sample_name(), slab_bytes, page);
  EXPECT_EQ(bytes::crc32c(page), 1713073090U) << "header";
  const auto payload = bytes_of(1000);
  encode_index_page(sample_name(), 2, std::vector<Entry>{sample_entry(5, 4096, 65536, payload)}, page);
  EXPECT_EQ(bytes::crc32c(page), 2197121191U) << "index page";
  EXPECT_EQ(bytes::crc32c(block_of(sample_name(), sample_entry(5, 4096, 65536, payload), payload)), 1160207113U) << "block";
}

TEST(SlabFormat, GivesBackWhatWasWritten) {
  const SlabName name = sample_name();
  std::vector<std::byte> page(page_bytes);
  encode_header(name, slab_bytes, page);
  EXPECT_EQ(decode_header(page, name.cluster, 3, slab_bytes), 77U);
  const auto payload = bytes_of(5000);
  for (std::uint32_t count = 0; count <= entries_per_page; ++count) {
    std::vector<Entry> entries;
    for (std::uint32_t i = 0; i < count; ++i)
      entries.push_back(
          sample_entry(static_cast<std::uint8_t>(i), i * 10ULL, blocks_begin(slab_bytes) + i * page_bytes, payload));
    encode_index_page(name, 1, entries, page);
    EXPECT_EQ(decode_index_page(page, name, 1, slab_bytes), entries);
  }
  const Entry entry = sample_entry(5, 1ULL << 40U, 65536, payload);
  EXPECT_TRUE(verify_block(block_of(name, entry, payload), name, entry));
}

TEST(SlabFormat, NothingPassesForAnotherPlaceOrTime) {
  const SlabName name = sample_name();
  std::vector<std::byte> page(page_bytes);
  encode_header(name, slab_bytes, page);
  SlabName other = name;
  other.cluster.bytes[3] ^= 1;
  EXPECT_FALSE(decode_header(page, other.cluster, 3, slab_bytes));
  EXPECT_FALSE(decode_header(page, name.cluster, 2, slab_bytes));
  EXPECT_FALSE(decode_header(page, name.cluster, 3, 2 * slab_bytes));
  const auto payload = bytes_of(700);
  const Entry entry = sample_entry(5, 100, 65536, payload);
  encode_index_page(name, 0, std::span(&entry, 1), page);
  EXPECT_FALSE(decode_index_page(page, name, 1, slab_bytes));
  EXPECT_FALSE(decode_index_page(page, other, 0, slab_bytes));
  const auto block = block_of(name, entry, payload);
  EXPECT_FALSE(verify_block(block, other, entry));
  other = name;
  ++other.generation;
  EXPECT_FALSE(decode_index_page(page, other, 0, slab_bytes));
  EXPECT_FALSE(verify_block(block, other, entry));
  other = name;
  ++other.index;
  EXPECT_FALSE(decode_index_page(page, other, 0, slab_bytes));
  EXPECT_FALSE(verify_block(block, other, entry));
  for (const auto& change :
       std::vector<void (*)(Entry&)>{[](Entry& e) { e.id.object.bytes[0] ^= 1; }, [](Entry& e) { ++e.id.position; },
                                     [](Entry& e) { e.place += page_bytes; }, [](Entry& e) { --e.payload_bytes; },
                                     [](Entry& e) { e.payload_crc ^= 1U; }}) {
    Entry wrong = entry;
    change(wrong);
    EXPECT_FALSE(verify_block(block, name, wrong));
  }
  Entry outside = entry;
  outside.place = slab_bytes - page_bytes + 1;
  encode_index_page(name, 0, std::span(&outside, 1), page);
  EXPECT_FALSE(decode_index_page(page, name, 0, slab_bytes)) << "not inside the slab";
}

TEST(SlabFormat, EveryFlippedBitAndEveryCutIsFound) {
  const SlabName name = sample_name();
  const auto payload = bytes_of(900);
  const Entry entry = sample_entry(5, 100, 65536, payload);
  std::vector<std::byte> header(page_bytes);
  std::vector<std::byte> index(page_bytes);
  encode_header(name, slab_bytes, header);
  encode_index_page(name, 0, std::span(&entry, 1), index);
  std::vector<std::byte> block = block_of(name, entry, payload);
  for (std::size_t bit = 0; bit < page_bytes * 8UL; ++bit) {
    const std::byte flip{static_cast<unsigned char>(1U << (bit % 8))};
    header[bit / 8] ^= flip;
    index[bit / 8] ^= flip;
    ASSERT_FALSE(decode_header(header, name.cluster, 3, slab_bytes)) << bit;
    ASSERT_FALSE(decode_index_page(index, name, 0, slab_bytes)) << bit;
    header[bit / 8] ^= flip;
    index[bit / 8] ^= flip;
    if (bit / 8 >= block_head_bytes + payload.size()) continue;
    block[bit / 8] ^= flip;
    ASSERT_FALSE(verify_block(block, name, entry)) << bit;
    block[bit / 8] ^= flip;
  }
  for (std::size_t size = 0; size < block_head_bytes + payload.size(); ++size)
    ASSERT_FALSE(verify_block(bytes::Bytes(block).first(size), name, entry));
  EXPECT_FALSE(decode_header(bytes::Bytes(header).first(page_bytes - 1), name.cluster, 3, slab_bytes));
  EXPECT_FALSE(decode_index_page(bytes::Bytes(index).first(page_bytes - 1), name, 0, slab_bytes));
}

TEST(SlabFormat, RandomBytesAreNothing) {
  std::mt19937 random(3);
  std::vector<std::byte> page(page_bytes);
  for (int round = 0; round < 2000; ++round) {
    for (std::byte& b : page) b = static_cast<std::byte>(random());
    EXPECT_FALSE(decode_header(page, sample_name().cluster, 3, slab_bytes));
    EXPECT_FALSE(decode_index_page(page, sample_name(), 0, slab_bytes));
  }
}

TEST(SlabFormat, TheIndexIsInProportion) {
  for (std::uint32_t size = slab_bytes_min; size <= slab_bytes_max / 2; size *= 2) {
    EXPECT_GE(entries_max(size), size / bytes_per_entry);
    EXPECT_LT(blocks_begin(size), size / 4);
  }
}

}  // namespace
}  // namespace weir::cache::slab

#include "object/manifest.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "bytes/endian.h"

namespace weir::object {
namespace {

template <class Id>
Id id_of(std::uint64_t n) {
  return Id{model::Uuid::from_random(0x1122334455667788ULL, n)};
}

const ManifestIdentity identity{.cluster = id_of<model::ClusterId>(1),
                                .partition = {.topic = id_of<model::TopicId>(2), .partition = model::PartitionIndex(3)}};

ManifestName name_of(std::uint64_t n) {
  return {.incarnation = 1, .session = id_of<model::SessionId>(4), .sequence = 5, .id = id_of<model::ObjectId>(n)};
}

ManifestEntry entry_of(std::uint64_t n, std::int64_t base, std::int64_t end) {
  return {.object = name_of(n),
          .size_bytes = 1ULL << 40U,
          .footer_position = (1ULL << 40U) - 4096,
          .footer_bytes = 4000,
          .footer_crc = 77,
          .base_offset = model::Offset(base),
          .end_offset = model::Offset(end),
          .payload_bytes = 1000 + n,
          .max_timestamp = 1'800'000'000'000 + static_cast<std::int64_t>(n),
          .created_ms = 1'800'000'000'500};
}

Leaf leaf_of() {
  Leaf leaf{.entries = {entry_of(10, 1LL << 40U, (1LL << 40U) + 100), entry_of(9, (1LL << 40U) + 100, (1LL << 40U) + 200)}};
  leaf.entries[1].aborted = {
      {.producer_id = model::ProducerId(8), .first = model::Offset(7), .last = model::Offset(1LL << 41U)},
      {.producer_id = model::ProducerId(9),
       .first = model::Offset((1LL << 40U) + 150),
       .last = model::Offset((1LL << 40U) + 150)}};
  return leaf;
}

LeafRef ref_of(const Leaf& leaf, std::uint64_t position, const std::vector<std::byte>& page) {
  LeafRef ref{.page = name_of(50),
              .position = position,
              .size_bytes = static_cast<std::uint32_t>(page.size()),
              .crc = bytes::load_le<std::uint32_t>(page.data() + page.size() - 4),
              .base_offset = leaf.entries.front().base_offset,
              .end_offset = leaf.entries.back().end_offset,
              .entry_count = static_cast<std::uint32_t>(leaf.entries.size()),
              .oldest_max_timestamp = leaf.entries.back().max_timestamp};
  for (const ManifestEntry& entry : leaf.entries) {
    ref.payload_bytes += entry.payload_bytes;
    ref.max_timestamp = std::max(ref.max_timestamp, entry.max_timestamp);
  }
  return ref;
}

ManifestRoot root_of(const LeafRef& leaf) {
  ManifestRoot root{.sequence = 6, .covers_to = leaf.end_offset};
  root.epochs = {{.epoch = model::LeaderEpoch(1), .start = model::Offset(0)},
                 {.epoch = model::LeaderEpoch(4), .start = model::Offset(1LL << 40U)}};
  root.producers = {{.state = {.producer_id = model::ProducerId(8),
                               .epoch = model::ProducerEpoch(2),
                               .batches = {{.base_sequence = model::Sequence(0),
                                            .last_sequence = model::Sequence(9),
                                            .base_offset = model::Offset(1LL << 40U),
                                            .last_offset = model::Offset((1LL << 40U) + 9),
                                            .max_timestamp = 5}},
                               .open_transaction_start = model::Offset(1LL << 40U),
                               .coordinator_epoch = 3},
                     .last_timestamp = 5,
                     .last_offset = model::Offset((1LL << 40U) + 9)}};
  root.writers = {{.first_sequence = 1, .session = id_of<model::SessionId>(4)},
                  {.first_sequence = 6, .session = id_of<model::SessionId>(5)}};
  root.leaves = {leaf};
  return root;
}

PagePlace place_of(std::uint64_t position, const std::vector<std::byte>& page) {
  return {.page = name_of(50),
          .position = position,
          .size_bytes = static_cast<std::uint32_t>(page.size()),
          .crc = bytes::load_le<std::uint32_t>(page.data() + page.size() - 4)};
}

TEST(Manifest, RoundTrip) {
  const Leaf leaf = leaf_of();
  const std::vector<std::byte> leaf_page = encode_leaf(leaf, identity, name_of(50).id, 0);
  const LeafRef ref = ref_of(leaf, 0, leaf_page);
  const auto leaf_again = parse_leaf(leaf_page, ref, identity);
  ASSERT_TRUE(leaf_again.has_value()) << leaf_again.error().text;
  EXPECT_EQ(*leaf_again, leaf);
  const ManifestRoot root = root_of(ref);
  const std::vector<std::byte> root_page = encode_root(root, identity, name_of(50).id, leaf_page.size());
  const auto root_again = parse_root(root_page, place_of(leaf_page.size(), root_page), identity);
  ASSERT_TRUE(root_again.has_value()) << root_again.error().text;
  EXPECT_EQ(*root_again, root);
}

// The golden file was written by the first version and is never rewritten.
TEST(Manifest, GoldenFile) {
  const Leaf leaf = leaf_of();
  std::vector<std::byte> body = encode_leaf(leaf, identity, name_of(50).id, 0);
  const std::size_t leaf_bytes = body.size();
  const std::vector<std::byte> root_page = encode_root(root_of(ref_of(leaf, 0, body)), identity, name_of(50).id, leaf_bytes);
  body.insert(body.end(), root_page.begin(), root_page.end());
  const std::vector<std::byte> trailer = encode_page_trailer(place_of(leaf_bytes, root_page));
  body.insert(body.end(), trailer.begin(), trailer.end());
  std::ifstream file(std::string(WEIR_ROOM_DIR) + "/testdata/manifest-v1.bin", std::ios::binary);
  const std::string golden{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(std::string(bytes::as_text(body)), golden);
}

TEST(Manifest, ThePageTrailerNamesTheRoot) {
  const PagePlace place{.page = name_of(50), .position = 1ULL << 33U, .size_bytes = 77, .crc = 5};
  const std::vector<std::byte> trailer = encode_page_trailer(place);
  ASSERT_EQ(trailer.size(), page_trailer_bytes);
  EXPECT_EQ(*parse_page_trailer(trailer, name_of(50)), place);
  for (std::size_t at = 0; at < trailer.size(); ++at) {
    std::vector<std::byte> bad = trailer;
    bad[at] ^= std::byte{1};
    EXPECT_FALSE(parse_page_trailer(bad, name_of(50)).has_value()) << at;
  }
  const std::vector<std::byte> page = encode_leaf(leaf_of(), identity, name_of(50).id, 0);
  const auto claim = claim_of(page);
  ASSERT_TRUE(claim.has_value());
  EXPECT_EQ(claim->identity, identity);
  EXPECT_EQ(claim->page, name_of(50).id);
  EXPECT_FALSE(claim_of(bytes::Bytes(page).first(20)).has_value());
}

TEST(Manifest, AnyFlippedByteIsFound) {
  const Leaf leaf = leaf_of();
  const std::vector<std::byte> leaf_page = encode_leaf(leaf, identity, name_of(50).id, 0);
  const LeafRef ref = ref_of(leaf, 0, leaf_page);
  const std::vector<std::byte> root_page = encode_root(root_of(ref), identity, name_of(50).id, leaf_page.size());
  const PagePlace place = place_of(leaf_page.size(), root_page);
  for (std::size_t at = 0; at < leaf_page.size(); ++at) {
    std::vector<std::byte> bad = leaf_page;
    bad[at] ^= std::byte{0x10};
    const auto parsed = parse_leaf(bad, ref, identity);
    ASSERT_FALSE(parsed.has_value()) << at;
    EXPECT_EQ(parsed.kind(), base::ErrorKind::corrupt);
    EXPECT_FALSE(parse_leaf(bytes::Bytes(leaf_page).first(at), ref, identity).has_value()) << "cut at " << at;
  }
  for (std::size_t at = 0; at < root_page.size(); ++at) {
    std::vector<std::byte> bad = root_page;
    bad[at] ^= std::byte{0x10};
    ASSERT_FALSE(parse_root(bad, place, identity).has_value()) << at;
    EXPECT_FALSE(parse_root(bytes::Bytes(root_page).first(at), place, identity).has_value()) << "cut at " << at;
  }
}

// A valid page at the wrong place: of another partition, another page object, another position, or an older one there.
TEST(Manifest, AValidPageOfAnotherPlaceIsRefused) {
  const Leaf leaf = leaf_of();
  const std::vector<std::byte> page = encode_leaf(leaf, identity, name_of(50).id, 0);
  const LeafRef ref = ref_of(leaf, 0, page);
  ManifestIdentity other = identity;
  other.partition.partition = model::PartitionIndex(4);
  EXPECT_FALSE(parse_leaf(page, ref, other).has_value());
  LeafRef moved = ref;
  moved.position = 8;
  EXPECT_FALSE(parse_leaf(page, moved, identity).has_value());
  LeafRef elsewhere = ref;
  elsewhere.page.id = id_of<model::ObjectId>(51);
  EXPECT_FALSE(parse_leaf(page, elsewhere, identity).has_value());
  Leaf older = leaf;
  older.entries[0].footer_crc += 1;
  EXPECT_FALSE(parse_leaf(encode_leaf(older, identity, name_of(50).id, 0), ref, identity).has_value());
}

TEST(Manifest, ALeafThatIsNotWhatItsRootStatesIsRefused) {
  Leaf gap = leaf_of();
  gap.entries[1].base_offset = gap.entries[1].base_offset + 1;
  std::vector<std::byte> page = encode_leaf(gap, identity, name_of(50).id, 0);
  EXPECT_FALSE(parse_leaf(page, ref_of(gap, 0, page), identity).has_value()) << "entries tile";
  const Leaf leaf = leaf_of();
  page = encode_leaf(leaf, identity, name_of(50).id, 0);
  LeafRef more = ref_of(leaf, 0, page);
  more.payload_bytes += 1;
  EXPECT_FALSE(parse_leaf(page, more, identity).has_value());
  LeafRef fewer = ref_of(leaf, 0, page);
  fewer.entry_count = 1;
  EXPECT_FALSE(parse_leaf(page, fewer, identity).has_value());
}

TEST(Manifest, FindsByOffset) {
  const Leaf leaf = leaf_of();
  const std::int64_t base = 1LL << 40U;
  EXPECT_EQ(find_entry(leaf, model::Offset(base - 1)), 2U);
  EXPECT_EQ(find_entry(leaf, model::Offset(base)), 0U);
  EXPECT_EQ(find_entry(leaf, model::Offset(base + 99)), 0U);
  EXPECT_EQ(find_entry(leaf, model::Offset(base + 100)), 1U);
  EXPECT_EQ(find_entry(leaf, model::Offset(base + 200)), 2U);
}

}  // namespace
}  // namespace weir::object

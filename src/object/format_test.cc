#include "object/format.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "object/layout.h"

namespace weir::object {
namespace {

template <class Id>
Id id_of(std::uint8_t seed) {
  Id id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::uint8_t>(seed + i);
  return id;
}

const Identity identity{.cluster = id_of<model::ClusterId>(1), .object = id_of<model::ObjectId>(50)};

// Bytes that differ by seed and place.
bytes::Buffer payload_of(std::size_t size_bytes, std::uint32_t seed) {
  bytes::SlabRef slab = bytes::SlabRef::allocate(size_bytes);
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::byte& b : slab.writable()) {
    state = state * 1664525U + 1013904223U;
    b = static_cast<std::byte>(state >> 24U);
  }
  return {slab, 0, size_bytes};
}

InputBatch batch_of(std::size_t size_bytes, std::int64_t base, std::int64_t end, base::WallMs timestamp) {
  bytes::Buffer payload = payload_of(size_bytes, static_cast<std::uint32_t>(base + 7));
  const std::uint32_t crc = bytes::crc32c(payload.view());
  return {.payload = payload,
          .payload_crc = crc,
          .base_offset = model::Offset(base),
          .end_offset = model::Offset(end),
          .max_timestamp = timestamp};
}

PartitionEntry entry_of(std::uint8_t topic, std::int32_t partition, std::int64_t base, std::int64_t end) {
  PartitionEntry entry;
  entry.partition = {.topic = id_of<model::TopicId>(topic), .partition = model::PartitionIndex(partition)};
  entry.base_offset = model::Offset(base);
  entry.end_offset = model::Offset(end);
  entry.last_stable_offset = model::Offset(end);
  entry.epochs = {{.epoch = model::LeaderEpoch(3), .start = model::Offset(base)}};
  return entry;
}

PartitionEntry full_entry() {
  PartitionEntry entry = entry_of(100, 2, 10, 40);
  entry.epochs.push_back({.epoch = model::LeaderEpoch(5), .start = model::Offset(22)});
  entry.first_unstable_offset = model::Offset(30);
  entry.last_stable_offset = model::Offset(30);
  entry.aborted = {{.producer_id = model::ProducerId(77), .first = model::Offset(4), .last = model::Offset(19)}};
  ProducerDelta producer{.producer_id = model::ProducerId(1000), .epoch = model::ProducerEpoch(2)};
  producer.open_transaction_start = model::Offset(30);
  producer.coordinator_epoch = 9;
  producer.batches = {{.base_sequence = model::Sequence(0),
                       .last_sequence = model::Sequence(9),
                       .base_offset = model::Offset(10),
                       .last_offset = model::Offset(19),
                       .max_timestamp = 500},
                      {.base_sequence = model::Sequence(10),
                       .last_sequence = model::Sequence(29),
                       .base_offset = model::Offset(20),
                       .last_offset = model::Offset(39),
                       .max_timestamp = 700}};
  entry.producers = {producer};
  return entry;
}

Builder::Finished sample() {
  Builder builder(identity, id_of<model::SessionId>(200), model::CommitNumber(12));
  builder.add_partition(full_entry(), {batch_of(300, 10, 20, 500), batch_of(20000, 20, 40, 700)});
  builder.add_partition(entry_of(100, 3, 0, 3), {batch_of(70, 0, 1, 9), batch_of(80, 1, 2, 8), batch_of(90, 2, 3, 9)});
  builder.add_partition(entry_of(101, 0, 5, 6), {batch_of(block_payload_bytes_max + 5, 5, 6, -1)});
  return std::move(builder).finish();
}

std::vector<std::byte> flatten(const bytes::BufferList& body) {
  std::vector<std::byte> out;
  for (const bytes::Buffer& piece : body) out.insert(out.end(), piece.data(), piece.data() + piece.size());
  return out;
}

bytes::Bytes footer_bytes(const std::vector<std::byte>& whole, const Builder::Finished& built) {
  return bytes::Bytes(whole).subspan(built.footer_position, built.footer_bytes);
}

TEST(ObjectFormat, WhatIsBuiltIsReadBack) {
  const Builder::Finished built = sample();
  const std::vector<std::byte> whole = flatten(built.body);
  ASSERT_EQ(whole.size(), built.size_bytes);
  EXPECT_EQ(bytes::crc32c(whole), built.crc32c) << "the combined CRC must be the CRC of the bytes";

  const auto place = parse_trailer(bytes::Bytes(whole).last(footer_trailer_bytes));
  ASSERT_TRUE(place.has_value()) << place.error().text;
  EXPECT_EQ(place->position, built.footer_position);
  EXPECT_EQ(place->size_bytes, built.footer_bytes);
  EXPECT_EQ(place->crc, built.footer_crc);

  const auto footer = parse_footer(footer_bytes(whole, built), built.footer_position, identity);
  ASSERT_TRUE(footer.has_value()) << footer.error().text;
  EXPECT_EQ(*footer, built.footer);
  ASSERT_EQ(footer->entries.size(), 3U);
  PartitionEntry expected = full_entry();
  expected.payload_bytes = 20300;
  expected.max_timestamp = 700;
  expected.time_index = {{.timestamp = 500, .offset = model::Offset(10)}, {.timestamp = 700, .offset = model::Offset(20)}};
  expected.blocks = footer->entries[0].blocks;
  EXPECT_EQ(footer->entries[0], expected);
  EXPECT_EQ(footer->entries[0].blocks.size(), 1U);
  EXPECT_TRUE(footer->entries[2].time_index.empty()) << "no timestamp, no point";

  for (const PartitionEntry& entry : footer->entries) {
    for (const BlockRef& ref : entry.blocks) {
      const auto block = bytes::Bytes(whole).subspan(ref.position, block_header_bytes + ref.payload_bytes);
      const auto payload = verify_block(block, identity, entry.partition, ref);
      ASSERT_TRUE(payload.has_value()) << payload.error().text;
      EXPECT_EQ(payload->size(), ref.payload_bytes);
    }
  }
}

TEST(ObjectFormat, PayloadsAreTheBatchesInOrder) {
  const Builder::Finished built = sample();
  const std::vector<std::byte> whole = flatten(built.body);
  const BlockRef& ref = built.footer.entries[1].blocks.at(0);
  const bytes::Bytes payload = bytes::Bytes(whole).subspan(ref.position + block_header_bytes, ref.payload_bytes);
  std::vector<std::byte> expected;
  for (const InputBatch& batch : {batch_of(70, 0, 1, 9), batch_of(80, 1, 2, 8), batch_of(90, 2, 3, 9)}) {
    expected.insert(expected.end(), batch.payload.data(), batch.payload.data() + batch.payload.size());
  }
  EXPECT_TRUE(std::ranges::equal(payload, expected));
}

TEST(ObjectFormat, LargePayloadsAreSharedNotRead) {
  // The CRC is taken from the batch: a wrong one goes through, which shows that the bytes were not read again.
  InputBatch batch = batch_of(64U << 10U, 0, 1, 1);
  const std::byte* home = batch.payload.data();
  batch.payload_crc ^= 1U;
  const std::uint32_t crc = batch.payload_crc;
  Builder builder(identity, id_of<model::SessionId>(200), model::CommitNumber(1));
  builder.add_partition(entry_of(1, 0, 0, 1), {batch});
  const Builder::Finished built = std::move(builder).finish();
  EXPECT_EQ(built.footer.entries[0].blocks[0].payload_crc, crc);
  EXPECT_EQ(built.body.at(2).data(), home);
}

TEST(ObjectFormat, CopiedPayloadsLetGoOfTheirHome) {
  const auto build = [](bool copy) {
    Builder builder(identity, id_of<model::SessionId>(200), model::CommitNumber(1));
    builder.copy_payloads(copy);
    builder.add_partition(entry_of(1, 0, 0, 3),
                          {batch_of(5000, 0, 1, 1), batch_of(100, 1, 2, 1), batch_of(64U << 10U, 2, 3, 1)});
    return std::move(builder).finish();
  };
  const Builder::Finished shared = build(false);
  const Builder::Finished copied = build(true);
  EXPECT_EQ(flatten(shared.body), flatten(copied.body));
  EXPECT_EQ(shared.crc32c, copied.crc32c);
  EXPECT_EQ(copied.body.size(), 5U) << "header, block header, one piece, footer, trailer";
}

TEST(ObjectFormat, AdjoiningBatchesAreOnePiece) {
  const bytes::Buffer home = payload_of(10000, 1);
  std::vector<InputBatch> batches;
  for (std::int64_t i = 0; i < 10; ++i) {
    const bytes::Buffer payload = home.slice(static_cast<std::size_t>(i) * 1000, 1000);
    batches.push_back({.payload = payload,
                       .payload_crc = bytes::crc32c(payload.view()),
                       .base_offset = model::Offset(i),
                       .end_offset = model::Offset(i + 1)});
  }
  Builder builder(identity, id_of<model::SessionId>(200), model::CommitNumber(1));
  builder.add_partition(entry_of(1, 0, 0, 10), batches);
  const Builder::Finished built = std::move(builder).finish();
  ASSERT_EQ(built.body.size(), 5U);
  EXPECT_EQ(built.body[2].data(), home.data()) << "shared, not copied";
  EXPECT_EQ(bytes::crc32c(flatten(built.body)), built.crc32c);
}

TEST(ObjectFormat, BlocksAreCutAtTheirLimit) {
  std::vector<InputBatch> batches;
  constexpr std::size_t batch_bytes = 100000;
  for (std::int64_t i = 0; i < 25; ++i) batches.push_back(batch_of(batch_bytes, i, i + 1, i));
  Builder builder(identity, id_of<model::SessionId>(200), model::CommitNumber(1));
  builder.add_partition(entry_of(1, 0, 0, 25), batches);
  const Builder::Finished built = std::move(builder).finish();
  ASSERT_EQ(built.footer.entries[0].blocks.size(), 3U);
  model::Offset next(0);
  for (const BlockRef& ref : built.footer.entries[0].blocks) {
    EXPECT_LE(ref.payload_bytes, block_payload_bytes_max);
    EXPECT_EQ(ref.base_offset, next);
    next = ref.end_offset;
  }
  EXPECT_EQ(next, model::Offset(25));
  EXPECT_EQ(bytes::crc32c(flatten(built.body)), built.crc32c);
}

TEST(ObjectFormat, StepsMakeTheSameObjectAndAreShort) {
  constexpr std::size_t step_bytes = 32U << 10U;
  // Small ones that do not adjoin, then some that do and some large ones; several blocks.
  const auto batches = [] {
    std::vector<InputBatch> out;
    std::int64_t offset = 0;
    const auto add = [&](bytes::Buffer payload) {
      const std::uint32_t crc = bytes::crc32c(payload.view());
      out.push_back({.payload = std::move(payload),
                     .payload_crc = crc,
                     .base_offset = model::Offset(offset),
                     .end_offset = model::Offset(offset + 1)});
      ++offset;
    };
    for (std::size_t i = 0; i < 3000; ++i) add(payload_of(i % 7 * 100 + 100, static_cast<std::uint32_t>(i)));
    const bytes::Buffer home = payload_of(1U << 20U, 3);
    for (std::size_t i = 0; i < 1000; ++i) add(home.slice(i * 1000, 1000));
    for (std::size_t i = 0; i < 20; ++i) add(payload_of(60000, static_cast<std::uint32_t>(i)));
    return out;
  };
  for (const bool copy : {false, true}) {
    Builder at_once(identity, id_of<model::SessionId>(200), model::CommitNumber(1));
    at_once.copy_payloads(copy);
    at_once.add_partition(entry_of(1, 0, 0, 4020), batches());
    Builder in_steps(identity, id_of<model::SessionId>(200), model::CommitNumber(1));
    in_steps.copy_payloads(copy);
    in_steps.begin_partition(entry_of(1, 0, 0, 4020), batches());
    std::size_t steps = 1;
    for (std::uint64_t before = 0; !in_steps.add_blocks(step_bytes); ++steps) {
      EXPECT_LE(in_steps.worked_bytes() - before, step_bytes + 60000) << "one batch more at most";
      before = in_steps.worked_bytes();
    }
    EXPECT_GT(steps, in_steps.payload_bytes() / (step_bytes + 60000));
    EXPECT_EQ(in_steps.worked_bytes() == in_steps.payload_bytes() * 2, copy);
    const Builder::Finished one = std::move(at_once).finish();
    const Builder::Finished other = std::move(in_steps).finish();
    EXPECT_EQ(flatten(one.body), flatten(other.body));
    EXPECT_EQ(one.crc32c, other.crc32c);
    EXPECT_EQ(bytes::crc32c(flatten(other.body)), other.crc32c);
    EXPECT_EQ(one.footer, other.footer);
  }
}

TEST(ObjectFormat, TimeIndexAnswersFirstAtOrAfter) {
  // Timestamps that go back: every point is a place where the running maximum rose, and the last is the maximum.
  std::vector<InputBatch> batches;
  const std::vector<base::WallMs> times = {5, 3, 9, 9, 1, 20, 2, 21, 7};
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto offset = static_cast<std::int64_t>(i);
    batches.push_back(batch_of(70000, offset, offset + 1, times[i]));
  }
  Builder builder(identity, id_of<model::SessionId>(200), model::CommitNumber(1));
  builder.add_partition(entry_of(1, 0, 0, 9), batches);
  const Builder::Finished built = std::move(builder).finish();
  const std::vector<TimeIndexEntry>& index = built.footer.entries[0].time_index;
  for (base::WallMs asked = 0; asked <= 22; ++asked) {
    const auto truth = std::ranges::find_if(times, [&](base::WallMs t) { return t >= asked; });
    const auto point = std::ranges::find_if(index, [&](const TimeIndexEntry& p) { return p.timestamp >= asked; });
    ASSERT_EQ(truth == times.end(), point == index.end()) << asked;
    if (truth == times.end()) continue;
    const std::int64_t first = truth - times.begin();
    const std::int64_t low = point == index.begin() ? -1 : std::prev(point)->offset.value();
    EXPECT_GT(first, low) << asked;
    EXPECT_LE(first, point->offset.value()) << asked;
  }
}

TEST(ObjectFormat, EveryFlippedBitOfTheFooterIsFound) {
  const Builder::Finished built = sample();
  const std::vector<std::byte> whole = flatten(built.body);
  std::vector<std::byte> footer(footer_bytes(whole, built).begin(), footer_bytes(whole, built).end());
  for (std::size_t i = 0; i < footer.size(); ++i) {
    footer[i] ^= std::byte{0x10};
    EXPECT_FALSE(parse_footer(footer, built.footer_position, identity).has_value()) << i;
    footer[i] ^= std::byte{0x10};
  }
  for (std::size_t size = 0; size < footer.size(); ++size) {
    EXPECT_FALSE(parse_footer(bytes::Bytes(footer).first(size), built.footer_position, identity).has_value()) << size;
  }
  std::vector<std::byte> trailer(whole.end() - footer_trailer_bytes, whole.end());
  for (std::size_t i = 0; i < trailer.size(); ++i) {
    trailer[i] ^= std::byte{1};
    EXPECT_FALSE(parse_trailer(trailer).has_value()) << i;
    trailer[i] ^= std::byte{1};
  }
}

TEST(ObjectFormat, EveryFlippedBitOfTheHeaderIsFound) {
  Footer footer{.identity = identity, .session = id_of<model::SessionId>(9), .commit = model::CommitNumber(4), .entries = {}};
  std::vector<std::byte> header = layout::encode_object_header(footer.identity, footer.session, footer.commit);
  ASSERT_TRUE(verify_object_header(header, footer));
  for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
    header[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(verify_object_header(header, footer)) << bit;
    header[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  footer.commit = model::CommitNumber(5);
  EXPECT_FALSE(verify_object_header(header, footer)) << "another object's";
}

TEST(ObjectFormat, ABlockPassesOnlyAsItself) {
  const Builder::Finished built = sample();
  const std::vector<std::byte> whole = flatten(built.body);
  const PartitionEntry& entry = built.footer.entries[1];
  const BlockRef& ref = entry.blocks[0];
  std::vector<std::byte> block(
      whole.begin() + static_cast<std::ptrdiff_t>(ref.position),
      whole.begin() + static_cast<std::ptrdiff_t>(ref.position + block_header_bytes + ref.payload_bytes));
  const auto kind_of = [&](const Identity& who, const model::TopicPartition& partition, const BlockRef& at) {
    const auto result = verify_block(block, who, partition, at);
    return result ? std::string("passes") : std::string(to_string(result.kind()));
  };
  EXPECT_EQ(kind_of(identity, entry.partition, ref), "passes");
  EXPECT_EQ(kind_of({.cluster = id_of<model::ClusterId>(2), .object = identity.object}, entry.partition, ref), "corrupt");
  EXPECT_EQ(kind_of({.cluster = identity.cluster, .object = id_of<model::ObjectId>(51)}, entry.partition, ref), "corrupt");
  EXPECT_EQ(kind_of(identity, built.footer.entries[0].partition, ref), "corrupt");
  BlockRef moved = ref;
  moved.position += 1;
  EXPECT_EQ(kind_of(identity, entry.partition, moved), "corrupt");
  moved = ref;
  moved.base_offset = moved.base_offset + 1;
  EXPECT_EQ(kind_of(identity, entry.partition, moved), "corrupt");
  for (std::size_t i = 0; i < block.size(); ++i) {
    block[i] ^= std::byte{4};
    EXPECT_EQ(kind_of(identity, entry.partition, ref), "corrupt") << i;
    block[i] ^= std::byte{4};
  }
}

// A footer whose checksum is right but whose structure is not: the parser must not trust the writer.
void expect_refused(const Footer& footer, std::uint64_t position, const char* what) {
  const std::vector<std::byte> data = layout::encode_footer(footer, position);
  const auto parsed = parse_footer(data, position, footer.identity);
  ASSERT_FALSE(parsed.has_value()) << what;
  EXPECT_EQ(parsed.kind(), base::ErrorKind::corrupt) << what;
}

TEST(ObjectFormat, WellSealedNonsenseIsRefused) {
  const Builder::Finished built = sample();
  const std::uint64_t position = built.footer_position;
  ASSERT_TRUE(parse_footer(layout::encode_footer(built.footer, position), position, identity).has_value());
  const auto with = [&](auto change) {
    Footer footer = built.footer;
    change(footer);
    return footer;
  };
  expect_refused(with([](Footer& f) { std::swap(f.entries[0], f.entries[1]); }), position, "order");
  expect_refused(with([](Footer& f) { f.entries[1] = f.entries[0]; }), position, "twice");
  expect_refused(with([](Footer& f) { f.entries[0].end_offset = f.entries[0].base_offset; }), position, "empty range");
  expect_refused(with([](Footer& f) { f.entries[0].base_offset = model::Offset(-1); }), position, "negative offset");
  expect_refused(with([](Footer& f) { f.entries[0].payload_bytes += 1; }), position, "payload sum");
  expect_refused(with([&](Footer& f) { f.entries[0].blocks[0].position = position; }), position, "block in the footer");
  expect_refused(with([](Footer& f) { f.entries[0].blocks[0].position = UINT64_MAX - 10; }), position, "position overflow");
  expect_refused(with([](Footer& f) { f.entries[0].blocks[0].position = 1; }), position, "block in the header");
  expect_refused(with([](Footer& f) { f.entries[0].blocks[0].end_offset = model::Offset(41); }), position,
                 "block past the entry");
  expect_refused(with([](Footer& f) { f.entries[0].blocks.push_back(f.entries[0].blocks[0]); }), position, "block twice");
  expect_refused(with([](Footer& f) { std::swap(f.entries[0].epochs[0], f.entries[0].epochs[1]); }), position, "epochs");
  expect_refused(with([](Footer& f) { std::swap(f.entries[0].time_index[0], f.entries[0].time_index[1]); }), position,
                 "time index");
  expect_refused(with([](Footer& f) { f.entries[0].aborted[0].first = model::Offset(39); }), position, "aborted span");
  expect_refused(with([](Footer& f) { std::swap(f.entries[0].producers[0].batches[0], f.entries[0].producers[0].batches[1]); }),
                 position, "producer batches");
  expect_refused(with([](Footer& f) { f.entries[0].partition.partition = model::PartitionIndex(-1); }), position, "partition");
  const std::vector<std::byte> data = layout::encode_footer(built.footer, position);
  EXPECT_FALSE(parse_footer(data, position + 1, identity).has_value()) << "a footer at another place";
}

TEST(ObjectFormat, HostileCountsAreRefusedBeforeAllocation) {
  Footer empty{.identity = identity, .session = id_of<model::SessionId>(200), .commit = model::CommitNumber(1)};
  std::vector<std::byte> data = layout::encode_footer(empty, 64);
  const auto reseal = [&] {
    const std::size_t covered = data.size() - layout::footer_crc_bytes;
    bytes::store_le(data.data() + covered, bytes::crc32c(bytes::Bytes(data).first(covered)));
  };
  bytes::store_le(data.data() + layout::footer_head_bytes - 4, std::uint32_t{0xFFFFFFFF});
  reseal();
  EXPECT_FALSE(parse_footer(data, 64, identity).has_value());

  Footer one = sample().footer;
  one.entries.resize(1);
  const std::vector<std::byte> good = layout::encode_footer(one, sample().footer_position);
  for (std::size_t list = 0; list < 5; ++list) {
    data = good;
    const std::size_t at = layout::footer_head_bytes + layout::entry_head_bytes - (5 - list) * 4;
    bytes::store_le(data.data() + at, std::uint32_t{0x7FFFFFFF});
    reseal();
    EXPECT_FALSE(parse_footer(data, sample().footer_position, identity).has_value()) << list;
  }
}

TEST(ObjectFormat, AnotherVersionIsRefusedByNumber) {
  const Builder::Finished built = sample();
  std::vector<std::byte> data = layout::encode_footer(built.footer, built.footer_position);
  bytes::store_le(data.data() + 4, std::uint32_t{2});
  const std::size_t covered = data.size() - layout::footer_crc_bytes;
  bytes::store_le(data.data() + covered, bytes::crc32c(bytes::Bytes(data).first(covered)));
  const auto parsed = parse_footer(data, built.footer_position, identity);
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.kind(), base::ErrorKind::invalid);
  EXPECT_THAT(parsed.error().text, testing::HasSubstr("version 2"));
}

TEST(ObjectFormat, GoldenFileIsStillBuiltAndRead) {
  // Large enough to hold every list, small enough for the repository: the third partition of sample() is left out.
  Builder builder(identity, id_of<model::SessionId>(200), model::CommitNumber(12));
  builder.add_partition(full_entry(), {batch_of(300, 10, 20, 500), batch_of(400, 20, 40, 700)});
  builder.add_partition(entry_of(100, 3, 0, 3), {batch_of(70, 0, 1, 9), batch_of(80, 1, 2, 8), batch_of(90, 2, 3, 9)});
  const Builder::Finished built = std::move(builder).finish();
  const std::vector<std::byte> whole = flatten(built.body);
  const std::string path = std::string(WEIR_ROOM_DIR) + "/testdata/object-v1-two-partitions.bin";
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << " is missing: it must never be";
  const std::string golden((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(golden == bytes::as_text(whole)) << "what is written has changed: that needs a new format version";
  const bytes::Bytes data = bytes::as_bytes(golden);
  const auto place = parse_trailer(data.last(footer_trailer_bytes));
  ASSERT_TRUE(place.has_value());
  const auto footer = parse_footer(data.subspan(place->position, place->size_bytes), place->position, identity);
  ASSERT_TRUE(footer.has_value()) << footer.error().text;
  EXPECT_EQ(*footer, built.footer);
}

}  // namespace
}  // namespace weir::object

// The pure parts below a partition: ring, lists, tail, extents, readers, transactions.
#include <deque>

#include <gtest/gtest.h>

#include "log/core/extents.h"
#include "log/core/readers.h"
#include "log/core/ring.h"
#include "log/core/tail.h"
#include "log/core/transactions.h"

namespace weir::log {
namespace {

using model::Offset;

TEST(Ring, BehavesAsADeque) {
  Ring<std::string> ring;
  std::deque<std::string> model;
  std::uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    state = state * 1664525U + 1013904223U;
    const std::uint32_t choice = (state >> 16U) % 5;
    if (choice < 2U + static_cast<std::uint32_t>(i / 2000) % 2U) {
      ring.push_back(std::to_string(i));
      model.push_back(std::to_string(i));
    } else if (!model.empty() && choice == 4) {
      EXPECT_EQ(ring.pop_back(), model.back());
      model.pop_back();
    } else if (!model.empty()) {
      EXPECT_EQ(ring.pop_front(), model.front());
      model.pop_front();
    }
    if (i % 997 == 996) {
      const std::size_t count = (state >> 20U) % (model.size() + 1);
      ring.drop_front(count);
      model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(count));
    }
    ASSERT_EQ(ring.size(), model.size());
    if (!model.empty()) {
      ASSERT_EQ(ring.front(), model.front());
      ASSERT_EQ(ring.back(), model.back());
      ASSERT_EQ(ring[model.size() / 2], model[model.size() / 2]);
    }
  }
}

TailRecord record(std::int64_t base, std::int64_t end, base::WallMs timestamp = 0) {
  static std::uint64_t number = 0;
  TailRecord r{.base = Offset(base),
               .end = Offset(end),
               .number = ++number,
               .memory = bytes::Buffer::copy_of(std::string_view("x")),
               .size_bytes = 1,
               .max_timestamp = timestamp};
  r.place.offset_bytes = static_cast<std::uint32_t>(base);
  return r;
}

TEST(Tail, FindsAndMovesAlong) {
  Tail tail;
  for (std::int64_t i = 0; i < 10; ++i) tail.push(record(i * 10, i * 10 + 10));
  for (int i = 0; i < 8; ++i) tail.confirm_next();
  EXPECT_EQ(tail.find(Offset(0)), 0U);
  EXPECT_EQ(tail.find(Offset(35)), 3U);
  EXPECT_EQ(tail.find(Offset(99)), 9U);
  EXPECT_EQ(tail.find(Offset(100)), tail.size());
  std::vector<std::uint32_t> freed;
  const auto free = [&](const wal::Place& place) { freed.push_back(place.offset_bytes); };
  tail.uploaded(Offset(45), free);
  EXPECT_EQ(freed, (std::vector<std::uint32_t>{0, 10, 20, 30})) << "whole records only";
  EXPECT_EQ(tail.uploaded_count(), 4U);
  EXPECT_EQ(tail.size(), 10U) << "kept for its memory";
  tail.drop_memory(0);
  EXPECT_EQ(tail.size(), 9U);
  EXPECT_EQ(tail.find(Offset(5)), tail.size());
  tail.drop_memory(2);
  EXPECT_EQ(tail.uploaded_count(), 0U) << "an uploaded record leaves with all before it";
  tail.drop_memory(0);
  EXPECT_EQ(tail.size(), 6U) << "not uploaded: only the WAL has it now";
  freed.clear();
  tail.uploaded(Offset(60), free);
  EXPECT_EQ(freed, (std::vector<std::uint32_t>{40, 50}));
  EXPECT_EQ(tail[0].base, Offset(50)) << "uploaded and without memory: gone; with memory: kept";
  EXPECT_EQ(tail.drop_below(Offset(75)).size(), 1U) << "only the one that no object holds";
  EXPECT_EQ(tail[0].base, Offset(70));
  EXPECT_EQ(tail.take_back().base, Offset(90));
  EXPECT_DEATH(tail.push(record(95, 96)), "behind one that ends");
  EXPECT_DEATH(tail.drop_memory(1), "only home");
}

TEST(Tail, FindsTheFirstTimestampAlsoWhenTimesGoBack) {
  const std::vector<base::WallMs> stamps = {5, 9, 3, 9, 20, 1, 15};
  for (std::size_t dropped = 0; dropped < stamps.size(); ++dropped) {
    Tail tail;
    for (std::size_t i = 0; i < stamps.size(); ++i) {
      tail.push(record(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1, stamps[i]));
      tail.confirm_next();
    }
    tail.drop_below(Offset(static_cast<std::int64_t>(dropped)));
    for (base::WallMs wanted = 0; wanted < 25; ++wanted) {
      std::size_t expected = dropped;
      while (expected < stamps.size() && stamps[expected] < wanted) ++expected;
      EXPECT_EQ(tail.first_at_or_after(wanted), expected - dropped) << wanted << " after dropping " << dropped;
    }
  }
}

object::PartitionEntry entry(std::int64_t base, std::int64_t end, base::WallMs timestamp) {
  object::PartitionEntry e;
  e.base_offset = Offset(base);
  e.end_offset = Offset(end);
  e.payload_bytes = static_cast<std::uint64_t>(end - base);
  e.max_timestamp = timestamp;
  const Offset middle(base + (end - base) / 2);
  e.blocks = {{.base_offset = Offset(base), .end_offset = middle, .max_timestamp = timestamp},
              {.position = 500, .base_offset = middle, .end_offset = Offset(end), .max_timestamp = -1}};
  return e;
}

TEST(Extents, FindOffsetsAndTimesAndDropFromTheFront) {
  Extents extents;
  extents.push(nullptr, entry(0, 10, 100));
  extents.push(nullptr, entry(10, 20, 50));
  extents.push(nullptr, entry(20, 40, 70));
  EXPECT_EQ(extents.payload_bytes(), 40U);
  EXPECT_EQ(extents.find(Offset(9)), 0U);
  EXPECT_EQ(extents.find(Offset(10)), 1U);
  EXPECT_EQ(extents.find(Offset(40)), 3U);
  EXPECT_EQ(Extents::find_block(extents[2], Offset(29)), 0U);
  EXPECT_EQ(Extents::find_block(extents[2], Offset(30)), 1U);
  EXPECT_EQ(extents.first_at_or_after(60), 0U);
  extents.drop_below(Offset(12));
  EXPECT_EQ(extents.size(), 2U);
  EXPECT_EQ(extents.first_at_or_after(60), 1U) << "the dropped extent's time is forgotten";
  EXPECT_EQ(extents.first_at_or_after(80), 2U);
  EXPECT_EQ(extents.payload_bytes(), 30U);
  extents.drop_below(Offset(40));
  EXPECT_TRUE(extents.empty());
  EXPECT_EQ(extents.end(), Offset(-1));
}

ObjectPtr object_of(std::uint64_t n) {
  return std::make_shared<const meta::ObjectRecord>(meta::ObjectRecord{.id = model::ObjectId{model::Uuid::from_random(n, n)}});
}

TEST(Extents, OneTakesThePlaceOfNeighbours) {
  const ObjectPtr a = object_of(1);
  const ObjectPtr b = object_of(2);
  const ObjectPtr c = object_of(3);
  const ObjectPtr merged = object_of(4);
  const auto fill = [&] {
    Extents extents;
    extents.push(a, entry(0, 10, 100));
    extents.push(b, entry(10, 20, 50));
    extents.push(c, entry(20, 40, 70));
    return extents;
  };
  Extents extents = fill();
  extents.replace({a->id, b->id}, merged, entry(0, 20, 100));
  ASSERT_EQ(extents.size(), 2U);
  EXPECT_EQ(extents[0].object, merged);
  EXPECT_EQ(extents.find(Offset(19)), 0U);
  EXPECT_EQ(extents[1].object, c);
  EXPECT_EQ(extents.payload_bytes(), 40U);
  EXPECT_EQ(extents.first_at_or_after(60), 0U);

  extents = fill();
  extents.drop_below(Offset(15));  // meanwhile
  extents.replace({a->id, b->id}, merged, entry(0, 20, 100));
  ASSERT_EQ(extents.size(), 2U);
  EXPECT_EQ(extents[0].base, Offset(0)) << "what lies below the log start comes along and is not read";
  extents.drop_below(Offset(20));
  extents.replace({a->id, b->id, merged->id}, merged, entry(0, 20, 100));
  EXPECT_EQ(extents.size(), 1U) << "all of it is gone";

  extents = fill();
  EXPECT_DEATH(extents.replace({a->id, c->id}, merged, entry(0, 40, 100)), "no neighbours");
  EXPECT_DEATH(extents.replace({a->id, b->id}, merged, entry(0, 19, 100)), "no neighbours");
}

Chain connect(std::vector<std::pair<std::int64_t, std::int64_t>> entries, std::int64_t log_start) {
  std::vector<ChainInput> inputs;
  for (const auto& [base, end] : entries) inputs.push_back({.base = Offset(base), .end = Offset(end)});
  return connect_entries(inputs, Offset(log_start));
}

TEST(Chain, ConnectsOrSaysWhatIsMissing) {
  EXPECT_EQ(connect({}, 7).end, Offset(7));
  EXPECT_EQ(connect({{0, 5}, {5, 9}}, 0).end, Offset(9));
  EXPECT_EQ(connect({{0, 5}, {5, 9}}, 3).used.size(), 2U);
  EXPECT_EQ(connect({{0, 5}, {5, 9}}, 5).used.size(), 1U);
  EXPECT_EQ(connect({{0, 5}, {5, 9}}, 20).end, Offset(20));
  EXPECT_TRUE(connect({{0, 5}, {8, 9}}, 8).gap.empty()) << "what is missing lies below the log start";
  EXPECT_FALSE(connect({{0, 5}, {8, 9}}, 7).gap.empty());
  EXPECT_FALSE(connect({{0, 5}, {6, 9}}, 0).gap.empty());
  EXPECT_FALSE(connect({{0, 5}, {4, 9}}, 0).gap.empty());
  EXPECT_FALSE(connect({{3, 5}}, 0).gap.empty());
}

TEST(Readers, AWindowGrowsWhileReadsFollowAndIsGoneAfterAJump) {
  Readers readers;
  EXPECT_EQ(readers.begin(Offset(0)), 0U);
  std::uint32_t expected = readahead_first_bytes;
  for (std::int64_t at = 0; at < 1000; at += 100) {
    readers.end(Offset(at), Offset(at + 100));
    EXPECT_EQ(readers.begin(Offset(at + 100)), expected);
    expected = std::min(expected * 2, readahead_max_bytes);
  }
  EXPECT_EQ(readers.begin(Offset(5000)), 0U) << "it jumped";
  readers.end(Offset(5000), Offset(5100));
  EXPECT_EQ(readers.begin(Offset(5100)), readahead_first_bytes);
  EXPECT_EQ(readers.begin(Offset(1000)), readahead_max_bytes) << "whoever went on there is not disturbed";
}

TEST(Readers, ReadersAtDifferentPlacesKeepTheirWindowsAndMeetingOnesShare) {
  Readers readers;
  for (std::int64_t step = 0; step < 20; ++step) {
    for (const std::int64_t start : {0, 50'000, 90'000}) {
      const Offset from(start + step * 100);
      if (step > 3) EXPECT_EQ(readers.begin(from), readahead_max_bytes);
      readers.end(from, Offset(from.value() + 100));
    }
  }
  EXPECT_EQ(readers.count(), 3U);
  // Side by side: both read the same, one a moment later.
  Readers pair;
  for (std::int64_t at = 0; at < 1000; at += 100) {
    if (at > 500) EXPECT_EQ(pair.begin(Offset(at)), readahead_max_bytes);
    pair.end(Offset(at), Offset(at + 100));
    pair.end(Offset(at), Offset(at + 100));
    EXPECT_EQ(pair.count(), 1U);
  }
}

TEST(Readers, AreBounded) {
  Readers readers;
  for (std::int64_t i = 0; i < 1000; ++i) readers.end(Offset(i * 1000), Offset(i * 1000 + 1));
  EXPECT_EQ(readers.count(), readers_max);
  EXPECT_EQ(readers.begin(Offset(999'001)), readahead_first_bytes);
  EXPECT_EQ(readers.begin(Offset(1)), 0U);
}

TEST(Transactions, FirstUnstableAndSpans) {
  const model::ProducerId a(1);
  const model::ProducerId b(2);
  Transactions t;
  EXPECT_EQ(t.first_unstable(), Offset(-1));
  t.begin(a, Offset(10));
  t.begin(b, Offset(12));
  EXPECT_EQ(t.first_unstable(), Offset(10));
  t.end(a, Offset(10), Offset(20), false);
  EXPECT_EQ(t.first_unstable(), Offset(10)) << "its marker is not confirmed";
  t.confirmed_to(Offset(20));
  EXPECT_EQ(t.first_unstable(), Offset(10)) << "the marker at 20 is confirmed by a high watermark above it";
  t.confirmed_to(Offset(21));
  EXPECT_EQ(t.first_unstable(), Offset(12));
  t.end(b, Offset(12), Offset(25), true);
  t.begin(a, Offset(26));
  t.take_back(Offset(24));
  EXPECT_EQ(t.first_unstable(), Offset(12)) << "open again, and the later one never began";
  t.end(b, Offset(12), Offset(24), false);
  t.confirmed_to(Offset(25));
  EXPECT_EQ(t.first_unstable(), Offset(-1));
  EXPECT_EQ(t.spans_touching(Offset(0), Offset(100)).size(), 2U);
  EXPECT_EQ(t.spans_touching(Offset(0), Offset(12)).size(), 1U);
  EXPECT_EQ(t.spans_touching(Offset(21), Offset(100)).front().producer_id, b);
  EXPECT_EQ(t.spans_closed_within(Offset(20), Offset(24)).size(), 1U);
  t.drop_spans_below(Offset(21));
  EXPECT_EQ(t.spans_touching(Offset(0), Offset(100)).size(), 1U);
}

}  // namespace
}  // namespace weir::log

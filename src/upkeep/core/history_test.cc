#include "upkeep/core/history.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace weir::upkeep {
namespace {

constexpr base::WallMs now_ms = 1'000'000;

struct Object {
  object::ManifestEntry entry;
  std::vector<object::BlockRef> blocks;
};

// Objects in leaves, then recent ones, with all that may be known of them.
struct History {
  object::ManifestRoot root;
  std::vector<std::vector<Object>> leaves;
  std::vector<Object> recent;

  void add_leaf(const std::vector<Object>& objects) {
    object::LeafRef ref{.base_offset = objects.front().entry.base_offset,
                        .end_offset = objects.back().entry.end_offset,
                        .entry_count = static_cast<std::uint32_t>(objects.size()),
                        .oldest_max_timestamp = objects.front().entry.max_timestamp};
    for (const Object& o : objects) {
      ref.payload_bytes += o.entry.payload_bytes;
      ref.max_timestamp = std::max(ref.max_timestamp, o.entry.max_timestamp);
      ref.oldest_max_timestamp = std::min(ref.oldest_max_timestamp, o.entry.max_timestamp);
    }
    root.leaves.push_back(ref);
    root.covers_to = ref.end_offset;
    leaves.push_back(objects);
  }
  [[nodiscard]] const Object& object_that_ends_at(model::Offset end) const {
    for (const auto& leaf : leaves) {
      for (const Object& o : leaf) {
        if (o.entry.end_offset == end) return o;
      }
    }
    const auto found = std::ranges::find(recent, end, [](const Object& o) { return o.entry.end_offset; });
    EXPECT_NE(found, recent.end());
    return *found;
  }
  RetentionLook look(model::Offset log_start, std::uint64_t tail_bytes, const model::TopicConfig& config,
                     const std::optional<FirstSegment>& known, std::size_t* reads) const {
    std::vector<RetentionPiece> pieces = history_pieces(root, log_start);
    for (const Object& o : recent) {
      if (o.entry.end_offset <= log_start) continue;
      pieces.push_back({.extent = {.end_offset = o.entry.end_offset,
                                   .payload_bytes = o.entry.payload_bytes,
                                   .max_timestamp = o.entry.max_timestamp,
                                   .created_ms = o.entry.created_ms},
                        .grain = o.blocks.size() > 1 ? Grain::object : Grain::block});
    }
    RetentionLook found = look_at_retention(pieces, log_start, tail_bytes, config, now_ms, known);
    while (found.expand) {
      ++*reads;
      const RetentionPiece& piece = pieces[*found.expand];
      if (piece.grain == Grain::leaf) {
        object::Leaf leaf;
        for (const Object& o : leaves[piece.leaf]) leaf.entries.push_back(o.entry);
        expand(pieces, *found.expand, leaf, log_start);
      } else {
        EXPECT_TRUE(expand(pieces, *found.expand, object_that_ends_at(piece.extent.end_offset).blocks, log_start));
      }
      found = look_at_retention(pieces, log_start, tail_bytes, config, now_ms);
    }
    return found;
  }
};

// All blocks above an offset, which is the end of one.
struct Unit {
  std::uint64_t bytes;
  base::WallMs newest;
  bool ends_leaf;
};
std::vector<Unit> units_from(const History& history, model::Offset from, bool below) {
  std::vector<Unit> units;
  const auto add = [&](const Object& o) {
    for (const object::BlockRef& block : o.blocks) {
      if ((block.end_offset <= from) != below) continue;
      units.push_back({.bytes = block.payload_bytes,
                       .newest = block.max_timestamp >= 0     ? block.max_timestamp
                                 : o.entry.max_timestamp >= 0 ? o.entry.max_timestamp
                                                              : o.entry.created_ms,
                       .ends_leaf = false});
    }
  };
  for (const auto& leaf : history.leaves) {
    for (const Object& o : leaf) add(o);
    if (!units.empty()) units.back().ends_leaf = true;
  }
  for (const Object& o : history.recent) add(o);
  return units;
}

// What is gone had a reason to go, and what stays is less than a segment more than what must stay.
class Rules {
 public:
  Rules(const model::TopicConfig& config, std::uint64_t tail_bytes) : config_(config), tail_bytes_(tail_bytes) {}
  [[nodiscard]] bool old(const Unit& unit) const {
    return config_.retention_ms >= 0 && now_ms - unit.newest > config_.retention_ms;
  }
  void check_gone(const std::vector<Unit>& gone, const std::vector<Unit>& stays) const {
    std::uint64_t behind_bytes = sum(stays) + tail_bytes_;
    for (std::size_t i = gone.size(); i-- > 0; behind_bytes += gone[i].bytes) {
      if (old(gone[i])) continue;
      ASSERT_GE(config_.retention_bytes, 0);
      ASSERT_GE(behind_bytes, static_cast<std::uint64_t>(config_.retention_bytes));
    }
  }
  void check_stays(const std::vector<Unit>& stays) const {
    if (stays.empty()) return;
    std::uint64_t old_bytes = 0;
    for (const Unit& unit : stays) {
      if (!old(unit)) break;
      old_bytes += unit.bytes;
      ASSERT_LE(old_bytes, static_cast<std::uint64_t>(config_.segment_bytes)) << "a segment's bytes are old";
      ASSERT_LE(unit.newest - stays.front().newest, config_.segment_ms) << "a segment's time is old";
      ASSERT_FALSE(unit.ends_leaf) << "a leaf's rest is old";
    }
    if (config_.retention_bytes < 0) return;
    ASSERT_LE(sum(stays) + tail_bytes_, static_cast<std::uint64_t>(config_.retention_bytes) +
                                            std::max(static_cast<std::uint64_t>(config_.segment_bytes), stays.front().bytes));
  }

 private:
  static std::uint64_t sum(const std::vector<Unit>& units) {
    std::uint64_t bytes = 0;
    for (const Unit& unit : units) bytes += unit.bytes;
    return bytes;
  }
  const model::TopicConfig& config_;
  std::uint64_t tail_bytes_;
};

class Random {
 public:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  Object next_object() {
    Object o;
    o.entry.base_offset = model::Offset(next_);
    for (std::uint64_t i = 0; i <= below(4); ++i) {
      object::BlockRef block{.payload_bytes = static_cast<std::uint32_t>(1 + below(100)), .base_offset = model::Offset(next_)};
      next_ += 1 + static_cast<std::int64_t>(below(10));
      time_ = std::min(now_ms, time_ + static_cast<base::WallMs>(below(40)) - 5);
      block.end_offset = model::Offset(next_);
      if (!timeless || below(3) > 0) block.max_timestamp = time_;
      o.entry.payload_bytes += block.payload_bytes;
      o.entry.max_timestamp = std::max(o.entry.max_timestamp, block.max_timestamp);
      o.blocks.push_back(block);
    }
    o.entry.end_offset = model::Offset(next_);
    o.entry.created_ms = time_;
    return o;
  }
  std::vector<Object> objects(std::uint64_t count) {
    std::vector<Object> out(count);
    std::ranges::generate(out, [this] { return next_object(); });
    return out;
  }
  void begin() {
    next_ = 0;
    time_ = now_ms - 1000;
    timeless = below(8) == 0;
  }
  bool timeless = false;

 private:
  std::mt19937_64 random_{1};
  std::int64_t next_ = 0;
  base::WallMs time_ = 0;
};

TEST(History, WhatGoesAndWhatStaysByAPlainListOfBlocks) {
  Random random;
  std::size_t due = 0;
  std::size_t reads_most = 0;
  for (int round = 0; round < 10000; ++round) {
    SCOPED_TRACE(round);
    random.begin();
    History history;
    for (std::uint64_t i = random.below(5); i > 0; --i) history.add_leaf(random.objects(1 + random.below(6)));
    history.recent = random.objects(random.below(4));
    model::TopicConfig config;
    config.retention_ms = random.below(3) == 0 ? -1 : static_cast<std::int64_t>(random.below(1100));
    config.retention_bytes = random.below(3) == 0 ? -1 : static_cast<std::int64_t>(random.below(1500));
    config.segment_bytes = 1 + static_cast<std::int64_t>(random.below(random.below(2) == 0 ? 100 : 1500));
    config.segment_ms = 1 + static_cast<std::int64_t>(random.below(random.below(2) == 0 ? 50 : 1000));
    const std::uint64_t tail_bytes = random.below(200);
    const std::vector<Unit> all = units_from(history, model::Offset(0), false);
    // The log start is the end of a block.
    model::Offset log_start(0);
    if (!all.empty() && random.below(2) == 0) {
      const auto& leaves = history.leaves;
      const std::vector<Object>& some = leaves.empty() ? history.recent : leaves[random.below(leaves.size())];
      if (!some.empty()) {
        const Object& o = some[random.below(some.size())];
        log_start = o.blocks[random.below(o.blocks.size())].end_offset;
      }
    }
    std::size_t reads = 0;
    const RetentionLook found = history.look(log_start, tail_bytes, config, std::nullopt, &reads);
    const model::Offset start = found.point.value_or(log_start);
    ASSERT_GE(start, log_start);
    const std::vector<Unit> stays = units_from(history, start, false);
    std::vector<Unit> gone = units_from(history, start, true);
    gone.erase(gone.begin(), gone.begin() + static_cast<std::ptrdiff_t>(units_from(history, log_start, true).size()));
    Rules rules(config, tail_bytes);
    rules.check_gone(gone, stays);
    if (config.retention_ms >= 0 || config.retention_bytes >= 0) rules.check_stays(stays);
    if (HasFatalFailure()) return;
    if (!random.timeless) reads_most = std::max(reads_most, reads);
    if (found.point) ++due;
    // Nothing more goes, and by time the next look knows that without a read. By size it may need one: the part of a leaf that lies
    // below the log start counts until it is read.
    reads = 0;
    const RetentionLook again = history.look(start, tail_bytes, config, found.first, &reads);
    ASSERT_EQ(again.point, std::nullopt);
    if (found.first && config.retention_bytes < 0) { ASSERT_EQ(reads, 0U); }
  }
  EXPECT_GT(due, 1000U);
  EXPECT_LT(due, 9000U);
  EXPECT_LE(reads_most, 6U);
}

// A hundred leaves that are all too old go without a read of any; of those behind only the first object's blocks are looked at.
TEST(History, LeavesThatGoOrStayWholeAreNotRead) {
  History history;
  for (std::int64_t i = 0; i < 200; ++i) {
    const base::WallMs at = i < 100 ? 1000 : now_ms;
    std::vector<Object> objects;
    for (const model::Offset base : {model::Offset(i * 20), model::Offset(i * 20 + 10)}) {
      objects.push_back(
          {.entry = {.base_offset = base, .end_offset = base + 10, .payload_bytes = 100, .max_timestamp = at},
           .blocks = {{.payload_bytes = 100, .base_offset = base, .end_offset = base + 10, .max_timestamp = at}}});
    }
    history.add_leaf(objects);
  }
  model::TopicConfig config;
  config.retention_ms = 5000;
  config.retention_bytes = -1;
  std::size_t reads = 0;
  const RetentionLook found = history.look(model::Offset(0), 0, config, std::nullopt, &reads);
  EXPECT_EQ(found.point, model::Offset(2000));
  EXPECT_EQ(reads, 2U) << "a leaf and its first object";
  EXPECT_EQ(history.look(model::Offset(2000), 0, config, found.first, &reads).point, std::nullopt);
  EXPECT_EQ(reads, 2U);
}

TEST(History, BlocksOfAnotherObjectAreRefused) {
  std::vector<RetentionPiece> pieces = {{.extent = {.end_offset = model::Offset(10)}, .grain = Grain::object}};
  EXPECT_FALSE(expand(pieces, 0, std::vector<object::BlockRef>{}, model::Offset(0)));
  EXPECT_FALSE(expand(pieces, 0, std::vector<object::BlockRef>{{.end_offset = model::Offset(20)}}, model::Offset(0)));
  EXPECT_FALSE(expand(pieces, 0, std::vector<object::BlockRef>{{.end_offset = model::Offset(10)}}, model::Offset(10)));
  EXPECT_EQ(pieces[0].grain, Grain::object);
  EXPECT_TRUE(expand(pieces, 0, std::vector<object::BlockRef>{{.end_offset = model::Offset(10)}}, model::Offset(9)));
  EXPECT_EQ(pieces[0].grain, Grain::block);
}

}  // namespace
}  // namespace weir::upkeep

#include "upkeep/core/history.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace weir::upkeep {
namespace {

constexpr base::WallMs now_ms = 1'000'000;

struct History {
  object::ManifestRoot root;
  std::vector<object::Leaf> leaves;
  std::vector<RetainedExtent> recent;

  void add_leaf(const std::vector<object::ManifestEntry>& entries) {
    object::LeafRef ref{.base_offset = entries.front().base_offset,
                        .end_offset = entries.back().end_offset,
                        .entry_count = static_cast<std::uint32_t>(entries.size()),
                        .oldest_max_timestamp = entries.front().max_timestamp};
    for (const object::ManifestEntry& entry : entries) {
      ref.payload_bytes += entry.payload_bytes;
      ref.max_timestamp = std::max(ref.max_timestamp, entry.max_timestamp);
      ref.oldest_max_timestamp = std::min(ref.oldest_max_timestamp, entry.max_timestamp);
    }
    root.leaves.push_back(ref);
    root.covers_to = ref.end_offset;
    leaves.push_back({.entries = entries});
  }
  [[nodiscard]] std::vector<RetainedExtent> plain(model::Offset log_start) const {
    std::vector<RetainedExtent> all;
    for (const object::Leaf& leaf : leaves) {
      for (const object::ManifestEntry& entry : leaf.entries) {
        if (entry.end_offset <= log_start) continue;
        all.push_back({.end_offset = entry.end_offset,
                       .payload_bytes = entry.payload_bytes,
                       .max_timestamp = entry.max_timestamp,
                       .created_ms = entry.created_ms});
      }
    }
    all.insert(all.end(), recent.begin(), recent.end());
    return all;
  }
  std::optional<model::Offset> look(model::Offset log_start, std::uint64_t tail_bytes, const model::TopicConfig& config,
                                    std::size_t* reads) const {
    std::vector<HistoryPiece> pieces = history_pieces(root, log_start);
    for (const RetainedExtent& extent : recent) pieces.push_back({.extent = extent});
    for (;;) {
      const HistoryLook found = look_at_history(pieces, tail_bytes, config, now_ms);
      if (!found.leaf) return found.point;
      ++*reads;
      expand(pieces, *found.leaf, leaves[*found.leaf], log_start);
    }
  }
};

TEST(History, AsRetentionOverAPlainList) {
  std::mt19937_64 random(1);
  const auto below = [&random](std::uint64_t limit) { return random() % limit; };
  std::size_t due = 0;
  for (int round = 0; round < 5000; ++round) {
    History history;
    std::int64_t next = 0;
    base::WallMs time = now_ms - 1000;
    const bool timeless = below(8) == 0;
    const auto step = [&] {
      next += 1 + static_cast<std::int64_t>(below(10));
      time += static_cast<base::WallMs>(below(40)) - 5;
      return std::min<base::WallMs>(time, now_ms);
    };
    const std::size_t leaf_count = below(5);
    for (std::size_t i = 0; i < leaf_count; ++i) {
      std::vector<object::ManifestEntry> entries(1 + below(6));
      for (object::ManifestEntry& entry : entries) {
        entry.base_offset = model::Offset(next);
        entry.max_timestamp = step();
        if (timeless && below(3) == 0) entry.max_timestamp = -1;
        entry.end_offset = model::Offset(next);
        entry.created_ms = time;
        entry.payload_bytes = 1 + below(100);
      }
      history.add_leaf(entries);
    }
    const std::size_t recent_count = below(4);
    for (std::size_t i = 0; i < recent_count; ++i) {
      const base::WallMs at = step();
      history.recent.push_back(
          {.end_offset = model::Offset(next), .payload_bytes = 1 + below(100), .max_timestamp = at, .created_ms = at});
    }
    model::TopicConfig config;
    config.retention_ms = below(3) == 0 ? -1 : static_cast<std::int64_t>(below(1100));
    config.retention_bytes = below(3) == 0 ? -1 : static_cast<std::int64_t>(below(1500));
    const std::uint64_t tail_bytes = below(200);
    const model::Offset covers_to = history.root.covers_to;
    const model::Offset log_start(
        below(2) == 0 ? 0 : static_cast<std::int64_t>(below(1 + static_cast<std::uint64_t>(covers_to.value()))));
    std::size_t reads = 0;
    const auto found = history.look(log_start, tail_bytes, config, &reads);
    EXPECT_EQ(found, retention_point(history.plain(log_start), tail_bytes, config, now_ms)) << "round " << round;
    if (!timeless) { EXPECT_LE(reads, 3U) << "round " << round; }
    if (found) ++due;
  }
  EXPECT_GT(due, 500U);
  EXPECT_LT(due, 4500U);
}

// A hundred leaves that are all too old go without a read of any; so do ones that are all young.
TEST(History, LeavesThatGoOrStayWholeAreNotRead) {
  History history;
  for (std::int64_t i = 0; i < 200; ++i) {
    const base::WallMs at = i < 100 ? 1000 : now_ms;
    const model::Offset base(i * 20);
    history.add_leaf({{.base_offset = base, .end_offset = base + 10, .payload_bytes = 100, .max_timestamp = at},
                      {.base_offset = base + 10, .end_offset = base + 20, .payload_bytes = 100, .max_timestamp = at}});
  }
  model::TopicConfig config;
  config.retention_ms = 5000;
  config.retention_bytes = -1;
  std::size_t reads = 0;
  EXPECT_EQ(history.look(model::Offset(0), 0, config, &reads), model::Offset(2000));
  EXPECT_EQ(reads, 0U);
}

}  // namespace
}  // namespace weir::upkeep

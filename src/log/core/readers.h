// log/core/readers.h: who reads a partition's old data one read after the other, and how far ahead of it to load.
// Why:        a range GET of some MiB costs what one of some KiB costs. Several groups read one partition at different places: each
//             keeps its own window, the blocks are shared in the cache.
// Contract:   pure. begin() gives the window of a read that starts there; end() tells where it ended. A read that starts where another
//             one ended belongs to the same reader and finds a window twice as wide, up to readahead_max_bytes; one that starts
//             anywhere else has no window: what jumps wants no neighbours. Readers that meet share one place.
// Limits:     readers_max places per partition; the one that was used least recently goes. 24 bytes each, none before the first read.
// Tests:      log/core/core_test.cc
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "model/ids.h"

namespace weir::log {

inline constexpr std::uint32_t readahead_first_bytes = 1U << 20U;
inline constexpr std::uint32_t readahead_max_bytes = 8U << 20U;
inline constexpr std::size_t readers_max = 16;

class Readers {
 public:
  /// How many bytes beyond what it wants a read from `offset` on may load.
  [[nodiscard]] std::uint32_t begin(model::Offset offset) const {
    for (const Reader& reader : readers_) {
      if (reader.next == offset) return reader.window_bytes;
    }
    return 0;
  }
  /// The read that began at `from` gave what lies before `next` (above `from`).
  void end(model::Offset from, model::Offset next) {
    std::uint32_t window_bytes = readahead_first_bytes;
    // Both places are taken out: the reader's own, and that of one that is ahead of it and stands where it has come to.
    std::erase_if(readers_, [&](const Reader& reader) {
      if (reader.next == from) {
        const std::uint64_t doubled = std::uint64_t{reader.window_bytes} * 2;
        window_bytes =
            std::max(window_bytes, static_cast<std::uint32_t>(std::min<std::uint64_t>(doubled, readahead_max_bytes)));
      }
      if (reader.next == next) window_bytes = std::max(window_bytes, reader.window_bytes);
      return reader.next == from || reader.next == next;
    });
    if (readers_.size() == readers_max) readers_.erase(readers_.begin());
    readers_.push_back({.next = next, .window_bytes = window_bytes});
  }
  [[nodiscard]] std::size_t count() const { return readers_.size(); }

 private:
  struct Reader {
    model::Offset next;  ///< where its last read ended
    std::uint32_t window_bytes = 0;
  };
  std::vector<Reader> readers_;  ///< the least recently used one in front
};

}  // namespace weir::log

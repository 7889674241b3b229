// upkeep/merge_task.h: what merges and splits have in common: their inputs in memory. Private to upkeep/.
#pragma once

#include <fmt/format.h>

#include "upkeep/upkeep_impl.h"

namespace weir::upkeep {

/// Verified, or built, between two looks at what else waits on the shard: about 0.1 ms.
inline constexpr std::uint64_t bytes_per_turn = 256U << 10U;

/// An input in memory: whole, or the ranges that are needed.
struct UpkeepImpl::MergeInput {
  meta::ObjectRecord record;
  bool whole = false;
  std::shared_ptr<const object::Footer> footer{};
  std::vector<log::Shard::Need> needs{};  ///< by entry
  struct Piece {
    std::uint64_t position = 0;
    bytes::Buffer data;
  };
  std::vector<Piece> pieces{};

  [[nodiscard]] base::Result<bytes::Buffer> block(const object::BlockRef& ref) const {
    const std::uint64_t size_bytes = object::block_header_bytes + ref.payload_bytes;
    for (const Piece& piece : pieces) {
      if (ref.position < piece.position || ref.position + size_bytes > piece.position + piece.data.size()) continue;
      return piece.data.slice(ref.position - piece.position, size_bytes);
    }
    return base::fail(base::ErrorKind::corrupt, fmt::format("the object ends before its block at {}", ref.position));
  }
};

struct UpkeepImpl::MergeTask {
  bool split = false;  ///< what only states a producer is in a manifest's root: its blocks are not read
  std::vector<MergeInput> inputs{};
  std::optional<model::ObjectId> at_fault{};  ///< an input that cannot be read as what it is
};

/// One partition of a split.
struct UpkeepImpl::SplitPart {
  PartitionPlace place;
  log::ManifestPtr manifest;                  ///< as the job found it; only this loop changes it
  std::vector<log::Shard::Holding> holdings;  ///< what goes, by offset
  struct Source {
    std::size_t input = 0;
    std::size_t entry = 0;
  };
  std::vector<Source> sources{};  ///< of each holding
};

}  // namespace weir::upkeep

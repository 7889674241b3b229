// cache/block_id.h: what identifies a block anywhere: object and position. Objects are never changed and ids never used again, so
// what was cached under a name once is right for ever.
#pragma once

#include <cstdint>

#include "model/ids.h"

namespace weir::cache {

struct BlockId {
  model::ObjectId object;
  std::uint64_t position = 0;
  bool operator==(const BlockId&) const = default;
};
struct BlockIdHash {
  std::size_t operator()(const BlockId& id) const noexcept {
    return std::hash<model::ObjectId>{}(id.object) ^ static_cast<std::size_t>(id.position * 0x9E3779B97F4A7C15ULL);
  }
};

}  // namespace weir::cache

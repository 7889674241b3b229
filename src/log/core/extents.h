// log/core/extents.h: which objects hold a partition's uploaded batches, from log start on.
// Why:        a read finds its block by two binary searches; retention sees whole extents.
// Place:      pure; one per partition, nothing allocated while empty. A block costs 48 bytes (per MiB of data), an extent 88.
// Contract:   extents are contiguous in offsets, except where everything between lies below the log start.
// Tests:      log/core/core_test.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "meta/meta.h"
#include "object/format.h"

namespace weir::log {

using ObjectPtr = std::shared_ptr<const meta::ObjectRecord>;

struct Extent {
  ObjectPtr object;
  model::Offset base;
  model::Offset end;
  std::uint64_t payload_bytes = 0;
  base::WallMs max_timestamp = -1;
  base::WallMs running_max_timestamp = -1;  ///< over this and all earlier extents that are still here
  std::vector<object::BlockRef> blocks;
};

class Extents {
 public:
  [[nodiscard]] std::size_t size() const { return extents_.size(); }
  [[nodiscard]] bool empty() const { return extents_.empty(); }
  [[nodiscard]] const Extent& operator[](std::size_t i) const { return extents_[i]; }
  [[nodiscard]] std::uint64_t payload_bytes() const { return payload_bytes_; }
  /// End of what objects hold; -1 when none.
  [[nodiscard]] model::Offset end() const { return extents_.empty() ? model::Offset(-1) : extents_.back().end; }

  void push(ObjectPtr object, const object::PartitionEntry& entry);
  /// Index of the extent that holds the offset, or size().
  [[nodiscard]] std::size_t find(model::Offset offset) const;
  /// Index of the first extent that ends behind the offset, or size().
  [[nodiscard]] std::size_t find_at_or_after(model::Offset offset) const;
  /// Index of the block within the extent that holds the offset.
  [[nodiscard]] static std::size_t find_block(const Extent& extent, model::Offset offset);
  void drop_below(model::Offset log_start);
  /// The extents of the objects in `inputs`, if any are left, become one; they must be neighbours.
  void replace(const std::set<model::ObjectId>& inputs, ObjectPtr object, const object::PartitionEntry& entry);
  /// Index of the first extent with a timestamp at or after, or size().
  [[nodiscard]] std::size_t first_at_or_after(base::WallMs timestamp) const;

 private:
  void renew_running_max();
  std::vector<Extent> extents_;
  std::uint64_t payload_bytes_ = 0;
};

/// How the committed objects' entries of one partition connect.
struct ChainInput {
  model::Offset base;
  model::Offset end;
};
struct Chain {
  std::vector<std::size_t> used;  ///< indices of the entries that make up [.., end), ascending
  model::Offset end;              ///< what is uploaded: max(log start, end of the last used entry)
  std::string gap;                ///< empty, or why the entries do not connect (acknowledged data are missing)
};
/// Entries in upload order. Those fully below the log start are not used; the rest must follow one another.
[[nodiscard]] Chain connect_entries(const std::vector<ChainInput>& entries, model::Offset log_start);

}  // namespace weir::log

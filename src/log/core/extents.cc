#include "log/core/extents.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"
#include "log/core/ring.h"

namespace weir::log {

namespace {
Extent make_extent(ObjectPtr object, const object::PartitionEntry& entry) {
  return {.object = std::move(object),
          .base = entry.base_offset,
          .end = entry.end_offset,
          .payload_bytes = entry.payload_bytes,
          .max_timestamp = entry.max_timestamp,
          .running_max_timestamp = entry.max_timestamp,
          .blocks = entry.blocks};
}
}  // namespace

void Extents::push(ObjectPtr object, const object::PartitionEntry& entry) {
  ENSURE(extents_.empty() || extents_.back().end <= entry.base_offset, "an extent at {} behind one that ends at {}",
         entry.base_offset.value(), extents_.back().end.value());
  const base::WallMs before = extents_.empty() ? -1 : extents_.back().running_max_timestamp;
  payload_bytes_ += entry.payload_bytes;
  extents_.push_back(make_extent(std::move(object), entry));
  extents_.back().running_max_timestamp = std::max(before, entry.max_timestamp);
}

void Extents::replace(const std::set<model::ObjectId>& inputs, ObjectPtr object, const object::PartitionEntry& entry) {
  const auto is_input = [&](const Extent& extent) { return inputs.contains(extent.object->id); };
  const auto first = std::ranges::find_if(extents_, is_input);
  if (first == extents_.end()) return;  // dropped meanwhile
  const auto last = std::find_if_not(first, extents_.end(), is_input);
  ENSURE(std::none_of(last, extents_.end(), is_input) && std::prev(last)->end == entry.end_offset &&
             first->base >= entry.base_offset,
         "[{}, {}) is to replace extents of [{}, {}) that are no neighbours", entry.base_offset.value(),
         entry.end_offset.value(), first->base.value(), std::prev(last)->end.value());
  for (auto at = first; at != last; ++at) payload_bytes_ -= at->payload_bytes;
  payload_bytes_ += entry.payload_bytes;
  *first = make_extent(std::move(object), entry);
  extents_.erase(first + 1, last);
  renew_running_max();
}

std::size_t Extents::find_at_or_after(model::Offset offset) const {
  return first_index(extents_.size(), [&](std::size_t i) { return extents_[i].end > offset; });
}

std::size_t Extents::find(model::Offset offset) const {
  const std::size_t at = find_at_or_after(offset);
  return at < extents_.size() && extents_[at].base <= offset ? at : extents_.size();
}

std::size_t Extents::find_block(const Extent& extent, model::Offset offset) {
  const std::size_t at = first_index(extent.blocks.size(), [&](std::size_t i) { return extent.blocks[i].end_offset > offset; });
  ENSURE(at < extent.blocks.size(), "offset {} lies behind the blocks of its extent", offset.value());
  return at;
}

void Extents::renew_running_max() {
  base::WallMs highest = -1;
  for (Extent& extent : extents_) {
    highest = std::max(highest, extent.max_timestamp);
    extent.running_max_timestamp = highest;
  }
}

void Extents::drop_below(model::Offset log_start) {
  const std::size_t count = first_index(extents_.size(), [&](std::size_t i) { return extents_[i].end > log_start; });
  if (count == 0) return;
  for (std::size_t i = 0; i < count; ++i) payload_bytes_ -= extents_[i].payload_bytes;
  extents_.erase(extents_.begin(), extents_.begin() + static_cast<std::ptrdiff_t>(count));
  renew_running_max();
}

std::size_t Extents::first_at_or_after(base::WallMs timestamp) const {
  return first_index(extents_.size(), [&](std::size_t i) { return extents_[i].running_max_timestamp >= timestamp; });
}

Chain connect_entries(const std::vector<ChainInput>& entries, model::Offset log_start) {
  Chain chain{.used = {}, .end = log_start, .gap = {}};
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ChainInput& entry = entries[i];
    if (entry.end <= log_start) continue;
    // The first entry that is used may begin below the log start; every further one begins where the last one ended.
    const bool follows = chain.used.empty() ? entry.base <= log_start : entry.base == chain.end;
    if (!follows) {
      chain.gap = fmt::format("objects hold offsets up to {} and then from {} on", chain.end.value(), entry.base.value());
      return chain;
    }
    chain.used.push_back(i);
    chain.end = entry.end;
  }
  return chain;
}

}  // namespace weir::log

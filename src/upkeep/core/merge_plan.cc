#include "upkeep/core/merge_plan.h"

#include <algorithm>

#include "base/ensure.h"

namespace weir::upkeep {
namespace {

// GETs that fetch the wanted entries of one object: neighbours, and those across a small gap, come together.
std::uint64_t count_ranges(const std::vector<MergeEntry>& entries, const std::vector<MergeJob::Part>& wanted) {
  std::uint64_t ranges = 0;
  std::uint64_t gap_bytes = range_gap_bytes_max + 1;
  auto at = entries.begin();
  for (const MergeJob::Part& part : wanted) {
    for (; at != entries.end() && at->partition < part.partition; ++at) gap_bytes += at->bytes;
    if (at == entries.end()) break;
    if (at->partition != part.partition || at->end > part.covers_to) continue;
    if (gap_bytes > range_gap_bytes_max) ++ranges;
    gap_bytes = 0;
    ++at;
  }
  return ranges;
}

}  // namespace

MergePlanner::Item MergePlanner::make_item(MergeObject object) const {
  std::erase_if(object.entries, [](const MergeEntry& entry) { return entry.bytes == 0; });
  Item item{.object = std::move(object)};
  const std::vector<MergeEntry>& entries = item.object.entries;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    ENSURE(i == 0 || entries[i - 1].partition < entries[i].partition, "entries of an object must ascend by partition");
    item.live_bytes += entries[i].bytes;
  }
  // By what it held when it was made: what was split off it since changes nothing.
  item.ripe = std::max(item.live_bytes, item.object.size_bytes) >= ripe_bytes();
  return item;
}

void MergePlanner::account(const Item& item, bool add) {
  for (const MergeEntry& entry : item.object.entries) {
    if (entry.partition >= bytes_of_.size()) bytes_of_.resize(entry.partition + std::size_t{1});
    std::uint64_t& bytes = bytes_of_[entry.partition];
    ENSURE(add || bytes >= entry.bytes, "partition {} holds {} bytes, {} are taken", entry.partition, bytes, entry.bytes);
    bytes = add ? bytes + entry.bytes : bytes - entry.bytes;
  }
  live_bytes_ = add ? live_bytes_ + item.live_bytes : live_bytes_ - item.live_bytes;
  entry_count_ = add ? entry_count_ + item.object.entries.size() : entry_count_ - item.object.entries.size();
}

void MergePlanner::add(MergeObject object) {
  items_.push_back(make_item(std::move(object)));
  account(items_.back(), true);
}

void MergePlanner::replaced(const std::vector<model::ObjectId>& inputs, MergeObject merged) {
  ENSURE(!inputs.empty(), "a merge without inputs");
  const auto first = std::ranges::find(items_, inputs.front(), [](const Item& item) { return item.object.id; });
  ENSURE(first != items_.end() && static_cast<std::size_t>(items_.end() - first) >= inputs.size(), "an input is not here");
  const auto last = first + static_cast<std::ptrdiff_t>(inputs.size());
  for (auto at = first; at != last; ++at) {
    ENSURE(at->object.id == inputs[static_cast<std::size_t>(at - first)], "inputs of a tier job are neighbours");
    account(*at, false);
  }
  *first = make_item(std::move(merged));
  account(*first, true);
  items_.erase(first + 1, last);
}

void MergePlanner::covered(std::uint32_t partition, model::Offset to) {
  for (Item& item : items_) {
    std::vector<MergeEntry>& entries = item.object.entries;
    const auto at = std::ranges::lower_bound(entries, partition, {}, &MergeEntry::partition);
    if (at == entries.end() || at->partition != partition || at->end > to) continue;
    item.live_bytes -= at->bytes;
    live_bytes_ -= at->bytes;
    bytes_of_[partition] -= at->bytes;
    --entry_count_;
    entries.erase(at);
  }
}

std::vector<model::ObjectId> MergePlanner::take_dead() {
  std::vector<model::ObjectId> dead;
  std::erase_if(items_, [&](const Item& item) {
    if (item.live_bytes > 0) return false;
    dead.push_back(item.object.id);
    return true;
  });
  return dead;
}

// The oldest objects up to the newest one that tiers have finished with: splits take from these only, whose runs are long.
std::size_t MergePlanner::ripe_end() const {
  std::size_t end = items_.size();
  while (end > 0 && !items_[end - 1].ripe) --end;
  return end;
}

std::vector<MergePlanner::Gathered> MergePlanner::gathered(std::size_t ripe_end) const {
  std::vector<Gathered> of(bytes_of_.size());
  for (std::size_t i = 0; i < ripe_end; ++i) {
    const Item& item = items_[i];
    // Headers and footers are a little of an object; taking them for something that has left it only makes splits smaller.
    const bool begun = item.live_bytes < item.object.size_bytes - item.object.size_bytes / begun_share;
    for (const MergeEntry& entry : item.object.entries) {
      Gathered& partition = of[entry.partition];
      if (entry.stays || item.object.refused) partition.over = true;
      if (partition.over) continue;
      partition.bytes += entry.bytes;
      partition.begun = partition.begun || begun;
    }
  }
  return of;
}

std::uint64_t MergePlanner::held_bytes(const Item& item) {
  return item.live_bytes * read_whole_share >= item.object.size_bytes ? std::max(item.object.size_bytes, item.live_bytes)
                                                                      : item.live_bytes;
}

// As many of [first, end) as one job may take.
MergePlanner::Run MergePlanner::fitting(std::size_t first, std::size_t end) const {
  Run run{.first = first};
  std::uint64_t held = 0;
  for (std::size_t i = first; i < end && run.count < limits_.fan_in_max && !items_[i].object.refused; ++i) {
    held += held_bytes(items_[i]);
    if (run.count > 0 && held > limits_.memory_bytes) break;
    run.bytes += items_[i].live_bytes;
    ++run.count;
  }
  return run;
}

// The lowest tier first: neighbours up to its bound of which as many as a job takes belong to it (smaller ones between them come
// along), or which are as much as a job holds.
std::optional<MergePlanner::Run> MergePlanner::tier_run() const {
  std::uint64_t lowest_share = 1;
  for (std::size_t tier = 1; tier < tier_count; ++tier) lowest_share *= tier_factor;
  for (std::uint64_t share = lowest_share; share > 0; share /= tier_factor) {
    const std::uint64_t bound = std::max<std::uint64_t>(1, ripe_bytes() / share);
    for (std::size_t first = 0; first < items_.size();) {
      const auto passed_over = [&](const Item& item) { return item.live_bytes >= bound || item.object.refused; };
      if (passed_over(items_[first])) {
        ++first;
        continue;
      }
      std::size_t end = first;
      std::size_t members = 0;
      std::uint64_t bytes = 0;
      // What is left of ripe objects is not written again together with uploads: most of it will be split off soon.
      for (; end < items_.size() && !passed_over(items_[end]) && items_[end].ripe == items_[first].ripe; ++end) {
        bytes += items_[end].live_bytes;
        if (items_[end].live_bytes >= bound / tier_factor || share == lowest_share) ++members;
      }
      const Run run = fitting(first, end);
      const bool enough = members >= limits_.fan_in_max || bytes >= limits_.memory_bytes;
      if (enough && run.count > 1) return run;
      // The first one does not fit beside the second: those behind it may.
      first = enough ? first + 1 : end;
    }
  }
  return std::nullopt;
}

// Under pressure: the neighbours that one job reduces most, the cheapest of them.
std::optional<MergePlanner::Run> MergePlanner::any_run() const {
  std::optional<Run> best;
  for (std::size_t first = 0; first + 1 < items_.size(); ++first) {
    const Run run = fitting(first, items_.size());
    if (run.count < 2 || run.bytes > limits_.memory_bytes) continue;
    if (!best || run.count > best->count || (run.count == best->count && run.bytes < best->bytes)) best = run;
  }
  return best;
}

MergeJob MergePlanner::tier_job(const Run& run) const {
  MergeJob job{.kind = MergeJob::Kind::tier, .bytes = run.bytes};
  for (std::size_t i = run.first; i < run.first + run.count; ++i) {
    const Item& item = items_[i];
    job.inputs.push_back(item.object.id);
    if (item.live_bytes * read_whole_share >= item.object.size_bytes) {
      ++job.get_count;
      continue;
    }
    std::vector<MergeJob::Part> all;
    for (const MergeEntry& entry : item.object.entries) all.push_back({.partition = entry.partition, .covers_to = entry.end});
    job.get_count += 1 + count_ranges(item.object.entries, all);  // and the footer
  }
  return job;
}

// What one job can take of a partition: its oldest objects, one at least.
MergeJob::Part MergePlanner::first_part(std::uint32_t partition, std::size_t ripe_end) const {
  MergeJob::Part part{.partition = partition};
  for (std::size_t i = 0; i < ripe_end; ++i) {
    const std::vector<MergeEntry>& entries = items_[i].object.entries;
    const auto at = std::ranges::lower_bound(entries, partition, {}, &MergeEntry::partition);
    if (at == entries.end() || at->partition != partition) continue;
    if (at->stays || items_[i].object.refused) break;
    if (part.bytes > 0 && part.bytes + at->bytes > limits_.memory_bytes) break;
    part.bytes += at->bytes;
    part.covers_to = at->end;
  }
  return part;
}

MergeJob MergePlanner::make_split(const std::vector<std::uint32_t>& chosen, std::size_t ripe_end) const {
  MergeJob job{.kind = MergeJob::Kind::split};
  for (const std::uint32_t partition : chosen) {
    job.parts.push_back(first_part(partition, ripe_end));
    job.bytes += job.parts.back().bytes;
  }
  for (std::size_t i = 0; i < ripe_end; ++i) {
    const std::uint64_t ranges = count_ranges(items_[i].object.entries, job.parts);
    if (ranges == 0) continue;
    job.inputs.push_back(items_[i].object.id);
    job.get_count += ranges;
  }
  return job;
}

// Neighbouring partitions: one range of an input then covers several of them.
std::optional<MergeJob> MergePlanner::split_job(std::uint64_t min_bytes) const {
  if (!limits_.splits) return std::nullopt;
  // What lies in objects of which other partitions have left goes a little earlier: then all of the object is done.
  const std::uint64_t along_bytes = min_bytes - min_bytes / along_share;
  if (std::ranges::none_of(bytes_of_, [along_bytes](std::uint64_t bytes) { return bytes >= along_bytes; })) return std::nullopt;
  const std::size_t end = under_pressure() ? items_.size() : ripe_end();
  const std::vector<Gathered> all = gathered(end);
  std::vector<std::uint32_t> chosen;
  std::uint64_t total_bytes = 0;
  for (std::uint32_t partition = 0; partition < all.size(); ++partition) {
    const Gathered& of = all[partition];
    if (of.bytes < (of.begun ? along_bytes : min_bytes) || of.bytes == 0) continue;
    if (!chosen.empty() && total_bytes + of.bytes > limits_.memory_bytes) break;
    total_bytes += of.bytes;
    chosen.push_back(partition);
  }
  if (chosen.empty()) return std::nullopt;
  return make_split(chosen, end);
}

std::optional<MergeJob> MergePlanner::next() const {
  // Splits first: what they leave of an object is merged once, when all of its partitions that are large have left it.
  if (auto job = split_job(limits_.split_bytes)) return job;
  if (const auto run = tier_run()) return tier_job(*run);
  if (!under_pressure()) return std::nullopt;
  if (auto job = split_job(limits_.split_min_bytes)) return job;
  if (const auto run = any_run()) return tier_job(*run);
  return split_job(1);
}

}  // namespace weir::upkeep

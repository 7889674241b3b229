#include "wal/core/segment_book.h"

#include <algorithm>

#include "base/ensure.h"

namespace weir::wal {

SegmentBook::Segment& SegmentBook::at(SegmentHandle segment) {
  ENSURE(segment < segments_.size(), "segment {} of {}", segment, segments_.size());
  return segments_[segment];
}

const SegmentBook::Segment& SegmentBook::at(SegmentHandle segment) const {
  ENSURE(segment < segments_.size(), "segment {} of {}", segment, segments_.size());
  return segments_[segment];
}

SegmentHandle SegmentBook::add(bool own) {
  segments_.push_back({.own = own, .position_bytes = header_bytes_});
  return static_cast<SegmentHandle>(segments_.size() - 1);
}

std::optional<SegmentBook::Spot> SegmentBook::place(std::uint32_t total_bytes, std::uint64_t records) {
  ENSURE(total_bytes <= segment_bytes_ - header_bytes_, "a group of {} bytes never fits a segment of {}", total_bytes,
         segment_bytes_);
  const bool fits = current_ && !at(*current_).fenced && at(*current_).position_bytes + total_bytes <= segment_bytes_;
  if (!fits) {
    // Round robin: the first reusable one after the current, so that wear and cache effects spread and old laps stay longest.
    const std::optional<SegmentHandle> full = current_;
    const std::size_t from = full ? *full + 1 : 0;
    current_.reset();  // a full segment of which nothing is needed may be the next one itself
    for (std::size_t i = 0; i < segments_.size() && !current_; ++i) {
      const auto candidate = static_cast<SegmentHandle>((from + i) % segments_.size());
      if (reusable(candidate)) current_ = candidate;
    }
    if (!current_) {
      current_ = full;
      return std::nullopt;
    }
    const std::optional<SegmentHandle> next = current_;
    at(*next).position_bytes = header_bytes_;
  }
  Segment& segment = at(*current_);
  ENSURE(segment.own && !segment.fenced && !segment.retired, "segment {} must not be written", *current_);
  const Spot spot{.segment = *current_, .position_bytes = segment.position_bytes};
  segment.position_bytes += total_bytes;
  ++segment.inflight;
  segment.live += records;
  return spot;
}

void SegmentBook::completed(SegmentHandle segment, model::Lsn lsn, std::uint64_t records,
                            std::span<const StatedOffset> statements, std::span<const SegmentHandle> copies) {
  ENSURE(at(segment).inflight > 0, "segment {} has no write in flight", segment);
  --at(segment).inflight;
  for (const StatedOffset& statement : statements) hold_statement(segment, statement);
  if (!copies.empty() && records > 0) {
    copies_.emplace(lsn.value(), Copies{.segments = {copies.begin(), copies.end()}, .records = records});
  }
}

void SegmentBook::failed(SegmentHandle segment) {
  Segment& state = at(segment);
  ENSURE(state.inflight > 0, "segment {} has no write in flight", segment);
  --state.inflight;
  state.fenced = true;
}

std::uint32_t SegmentBook::leave(SegmentHandle segment) {
  Segment& state = at(segment);
  const std::uint32_t rest = state.position_bytes;
  if (current_ == segment) state.position_bytes = segment_bytes_;
  return rest;
}

void SegmentBook::given_up(std::span<const SegmentHandle> copies, std::span<const StatedOffset> records) {
  for (const SegmentHandle segment : copies) {
    ENSURE(at(segment).fenced, "segment {} holds a failed copy but is not fenced", segment);
    for (const StatedOffset& record : records) hold_dead(segment, record);
    drop_live(segment, records.size());
  }
}

void SegmentBook::recovered_records(SegmentHandle segment, std::uint64_t count) { at(segment).live += count; }

void SegmentBook::recovered_statement(SegmentHandle segment, StatedOffset statement) { hold_statement(segment, statement); }

void SegmentBook::keep(SegmentHandle segment) { at(segment).kept = true; }

void SegmentBook::hold_statement(SegmentHandle segment, const StatedOffset& statement) {
  Partition& partition = partitions_[statement.partition];
  if (statement.offset <= partition.uploaded) return;
  if (partition.stated) {
    if (statement.offset < *partition.stated) return;
    ENSURE(at(partition.stated_in).holds > 0, "segment {} lost a hold", partition.stated_in);
    --at(partition.stated_in).holds;
  }
  partition.stated = statement.offset;
  partition.stated_in = segment;
  ++at(segment).holds;
}

void SegmentBook::hold_dead(SegmentHandle segment, const StatedOffset& record) {
  Partition& partition = partitions_[record.partition];
  if (record.offset <= partition.uploaded) return;
  for (DeadCopy& copy : partition.dead) {
    if (copy.segment != segment) continue;
    copy.end = std::max(copy.end, record.offset);
    return;
  }
  partition.dead.push_back({.segment = segment, .end = record.offset});
  ++at(segment).holds;
}

void SegmentBook::drop_live(SegmentHandle segment, std::uint64_t records) {
  Segment& state = at(segment);
  ENSURE(state.live >= records, "segment {} has {} live records, {} released", segment, state.live, records);
  state.live -= records;
}

void SegmentBook::release(SegmentHandle segment, model::Lsn lsn, std::uint64_t records) {
  drop_live(segment, records);
  if (at(segment).own == false || copies_.empty()) return;
  const auto found = copies_.find(lsn.value());
  if (found == copies_.end()) return;
  for (const SegmentHandle copy : found->second.segments) drop_live(copy, records);
  ENSURE(found->second.records >= records, "LSN {} has {} records, {} released", lsn.value(), found->second.records, records);
  found->second.records -= records;
  if (found->second.records == 0) copies_.erase(found);
}

void SegmentBook::uploaded_to(const model::TopicPartition& partition, model::Offset offset) {
  Partition& state = partitions_[partition];
  state.uploaded = std::max(state.uploaded, offset);
  if (state.stated && *state.stated <= state.uploaded) {
    ENSURE(at(state.stated_in).holds > 0, "segment {} lost a hold", state.stated_in);
    --at(state.stated_in).holds;
    state.stated.reset();
  }
  std::erase_if(state.dead, [&](const DeadCopy& copy) {
    if (copy.end > state.uploaded) return false;
    ENSURE(at(copy.segment).holds > 0, "segment {} lost a hold", copy.segment);
    --at(copy.segment).holds;
    return true;
  });
}

void SegmentBook::forget(const model::TopicPartition& partition) {
  const auto found = partitions_.find(partition);
  if (found == partitions_.end()) return;
  ENSURE(!found->second.stated && found->second.dead.empty(), "a partition was forgotten while it holds a segment");
  partitions_.erase(found);
}

bool SegmentBook::needed(SegmentHandle segment) const {
  const Segment& state = at(segment);
  return state.inflight > 0 || state.live > 0 || state.holds > 0;
}

bool SegmentBook::reusable(SegmentHandle segment) const {
  const Segment& state = at(segment);
  return state.own && !state.fenced && !state.retired && !state.blocked && !needed(segment) && segment != current_;
}

bool SegmentBook::retirable(SegmentHandle segment) const {
  const Segment& state = at(segment);
  return (state.fenced || !state.own) && !state.retired && !state.kept && !needed(segment);
}

void SegmentBook::retired(SegmentHandle segment) {
  ENSURE(retirable(segment), "segment {} is still needed", segment);
  at(segment).retired = true;
}

std::size_t SegmentBook::reusable_count() const {
  std::size_t count = 0;
  for (SegmentHandle i = 0; i < segments_.size(); ++i) count += reusable(i) ? 1U : 0U;
  return count;
}

std::uint32_t SegmentBook::current_rest_bytes() const {
  if (!current_ || at(*current_).fenced) return 0;
  return segment_bytes_ - at(*current_).position_bytes;
}

}  // namespace weir::wal

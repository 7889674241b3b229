// Reading batches: from group memory, from the WAL where memory was dropped, from objects through the block cache: recent ones by
// the extents in memory, older ones through the partition's manifest.
#include <algorithm>

#include "log/shard.h"

namespace weir::log {
namespace {

using base::ErrorKind;
using base::fail;

// The plan was overtaken: what it named in the WAL has moved into an object meanwhile. The read looks again.
std::unexpected<base::Error> moved() { return fail(ErrorKind::exists, "the batches moved"); }
bool is_moved(const base::Error& error) { return error.kind == ErrorKind::exists; }

void append_piece(bytes::BufferList& list, bytes::Buffer piece) {
  if (!list.empty() && list.back().try_extend(piece)) return;
  list.push_back(std::move(piece));
}

/// Takes whole batches of [from, to) out of loaded blocks until `max_bytes`.
class Cutter {
 public:
  Cutter(model::Offset from, model::Offset to, std::uint32_t max_bytes, bool at_least_one)
      : from_(from), to_(to), max_bytes_(max_bytes), at_least_one_(at_least_one) {}
  /// False: full, or the end is reached.
  base::Result<bool> add(const bytes::Buffer& block, bytes::BufferList& out) {
    std::size_t begin = 0;
    std::size_t at = 0;
    bool more = true;
    while (at < block.size()) {
      const auto header = model::peek_batch_header(block.view().subspan(at));
      if (!header || header->batch_length < 0 || header->size_bytes() > block.size() - at) {
        return fail(ErrorKind::corrupt, "a verified block holds a broken batch");
      }
      if (header->next_offset() <= from_) {
        at += header->size_bytes();
        begin = at;
        continue;
      }
      const bool first = total_ == 0;
      if (header->base_offset >= to_ || (total_ + header->size_bytes() > max_bytes_ && !(first && at_least_one_))) {
        more = false;
        break;
      }
      total_ += header->size_bytes();
      at += header->size_bytes();
      end_ = header->next_offset();
    }
    if (at > begin) append_piece(out, block.slice(begin, at - begin));
    return more;
  }
  [[nodiscard]] std::uint64_t total_bytes() const { return total_; }
  /// After the last batch taken.
  [[nodiscard]] model::Offset end() const { return end_; }

 private:
  model::Offset end_{-1};
  model::Offset from_;
  model::Offset to_;
  std::uint64_t max_bytes_;
  bool at_least_one_;
  std::uint64_t total_ = 0;
};

}  // namespace

/// What a tail read takes, copied out before the first suspension.
struct ShardLog::TailPlan {
  struct Piece {
    model::Offset base;
    model::Offset end;
    wal::Place place;
    bytes::Buffer memory;
  };
  std::vector<Piece> pieces;
  std::optional<base::Error> error;
};

/// Blocks to load, per object.
struct ShardLog::ObjectPlan {
  struct Part {
    std::vector<cache::BlockKey> blocks;
    std::size_t wanted = 0;
    base::Result<std::vector<bytes::Buffer>> loaded;
    std::vector<std::size_t> waited;  ///< of them, those that were not in memory
  };
  std::vector<Part> parts;
  std::uint64_t total_bytes = 0;   ///< about what the read gets of them
  std::uint64_t window_bytes = 0;  ///< how far the reader's loads go beyond that
  std::uint64_t ahead_bytes = 0;   ///< what of it the parts cover; nothing is wanted behind it
  model::Offset next;
};

void ShardLog::fill_watermarks(const Partition& p, ReadOutcome& outcome) {
  outcome.high_watermark = p.high_watermark;
  outcome.last_stable_offset = p.last_stable;
  outcome.log_start = p.log_start;
  outcome.epoch = p.own.epoch();
}

// False: still loading at the deadline.
runtime::Task<bool> ShardLog::wait_loaded(PartitionPtr p, base::MonoTime deadline) {
  while (p->phase == Phase::loading && !stopping_ && now() < deadline) {
    co_await p->changed.wait(deadline, &scope_->stop_token());
  }
  co_return p->phase != Phase::loading;
}

runtime::Task<ReadOutcome> ShardLog::read(ReadRequest request) {
  ReadOutcome outcome;
  const auto refuse = [&outcome](Errc error, std::string message) {
    outcome.error = error;
    outcome.message = std::move(message);
    outcome.batches.clear();
    return std::move(outcome);
  };
  const PartitionPtr p = find(request.partition);
  if (!p) co_return refuse(Errc::unknown_partition, "no such partition");
  for (std::size_t attempt = 0; attempt < read_attempts_max; ++attempt) {
    if (!co_await wait_loaded(p, request.deadline)) {
      co_return refuse(Errc::store_unavailable, "the partition is not open yet: the object store does not give its footers");
    }
    if (p->phase == Phase::removed) co_return refuse(Errc::unknown_partition, "the topic was deleted");
    if (!fenced_.empty()) co_return refuse(Errc::not_owner, fenced_);
    if (p->phase == Phase::quarantined) co_return refuse(Errc::quarantined, p->quarantine_reason);
    fill_watermarks(*p, outcome);
    outcome.end = request.offset;
    if (request.offset < p->log_start || request.offset > p->end) {
      co_return refuse(Errc::offset_out_of_range, "the offset lies outside the log");
    }
    const model::Offset limit = p->readable_end(request.isolation);
    if (request.offset >= limit || (request.max_bytes == 0 && !request.at_least_one)) co_return outcome;
    const bool in_tail = !p->tail.empty() && request.offset >= p->tail[0].base;
    base::Result<Run> got;
    const base::MonoTime began = now();
    if (in_tail) {
      got = co_await read_tail(p, request.offset, limit, request.max_bytes, request.at_least_one);
    } else {
      got = co_await read_objects(p, request.offset, limit, request.max_bytes, request.at_least_one, request.deadline);
    }
    if (!got && is_moved(got.error())) continue;
    if (!got) {
      const bool lost = in_tail && got.kind() == ErrorKind::corrupt;
      co_return refuse(lost ? Errc::quarantined : Errc::store_unavailable, got.error().text);
    }
    // It moved under the manifest meanwhile, and with it the spans that tell which of it was aborted.
    const bool left_tail = p->tail.empty() || request.offset < p->tail[0].base;
    if (request.offset < p->covers_to() && left_tail && !got->aborted) continue;
    // Retention or DeleteRecords went past it meanwhile, and the spans that tell which of it was aborted are forgotten.
    if (request.offset < p->log_start) continue;
    outcome.batches = std::move(got->batches);
    outcome.size_bytes = bytes::total_size(outcome.batches);
    if (outcome.size_bytes > 0) {
      outcome.end = got->end;
      cells_.read_from(got->from).time.record(now() - began);
    }
    if (request.isolation == Isolation::read_committed && got->aborted) {
      outcome.aborted = std::move(*got->aborted);
    } else if (request.isolation == Isolation::read_committed && p->transactions && outcome.size_bytes > 0) {
      outcome.aborted = p->transactions->spans_touching(request.offset, got->end);
    }
    co_return outcome;
  }
  co_return refuse(Errc::store_unavailable, "the batches moved again and again while they were read");
}

runtime::Task<base::Result<ShardLog::Run>> ShardLog::read_tail(PartitionPtr p, model::Offset from, model::Offset to,
                                                               std::uint32_t max_bytes, bool at_least_one) {
  TailPlan plan;
  std::vector<std::size_t> bare;
  std::uint64_t total = 0;
  for (std::size_t i = p->tail.find(from); i < p->tail.confirmed_count() && p->tail[i].base < to; ++i) {
    const TailRecord& record = p->tail[i];
    if (total + record.size_bytes > max_bytes && !(total == 0 && at_least_one)) break;
    total += record.size_bytes;
    if (record.memory.empty()) bare.push_back(plan.pieces.size());
    plan.pieces.push_back({.base = record.base, .end = record.end, .place = record.place, .memory = record.memory});
  }
  if (!bare.empty()) {
    runtime::Scope loads;
    for (const std::size_t index : bare) loads.spawn("read back", load_place(&plan, index));
    co_await loads.join();
  }
  if (plan.error) {
    // Uploaded meanwhile, its place is free for other bytes: not an error. Else the record is really damaged.
    for (const std::size_t index : bare) {
      const TailPlan::Piece& piece = plan.pieces[index];
      const std::size_t at = p->tail.find(piece.base);
      if (at == p->tail.size() || at < p->tail.uploaded_count()) co_return moved();
    }
    co_return std::unexpected(std::move(*plan.error));
  }
  Run run;
  std::uint64_t wal_bytes = 0;
  for (const std::size_t index : bare) wal_bytes += plan.pieces[index].memory.size();
  for (TailPlan::Piece& piece : plan.pieces) {
    append_piece(run.batches, std::move(piece.memory));
    run.end = piece.end;
  }
  run.from = bare.empty() ? ReadFrom::group : ReadFrom::wal;
  cells_.read_from(ReadFrom::wal).bytes.add(wal_bytes);
  cells_.read_from(ReadFrom::group).bytes.add(total - wal_bytes);
  co_return run;
}

runtime::Task<void> ShardLog::load_place(TailPlan* plan, std::size_t index) {
  co_await wal_reads_->acquire(1);
  auto read = co_await appender_->read(plan->pieces[index].place);
  wal_reads_->release(1);
  if (read) {
    plan->pieces[index].memory = std::move(*read);
  } else if (!plan->error) {
    plan->error = std::move(read).error();
  }
}

// Blocks of one extent from plan.next on, then those that the reader will want next. False: no further extent is wanted.
bool ShardLog::plan_extent(const Partition& p, const log::Extent& extent, model::Offset to, std::uint32_t max_bytes,
                           ObjectPlan& plan) const {
  ObjectPlan::Part part;
  const object::Identity identity{.cluster = doors_.cluster, .object = extent.object->id};
  for (std::size_t b = log::Extents::find_block(extent, std::max(plan.next, extent.base)); b < extent.blocks.size(); ++b) {
    const object::BlockRef& block = extent.blocks[b];
    const bool wanted =
        block.base_offset < to && (plan.total_bytes == 0 || plan.total_bytes < max_bytes) && plan.ahead_bytes == 0;
    if (!wanted && plan.ahead_bytes >= plan.window_bytes) break;
    part.blocks.push_back({.identity = identity, .object_key = extent.object->key, .partition = p.id, .ref = block});
    if (!wanted) {
      plan.ahead_bytes += block.payload_bytes;
      continue;
    }
    ++part.wanted;
    // Of a block that the read enters in its middle, about the share behind the offset counts.
    const auto span = static_cast<double>(block.end_offset - block.base_offset);
    const auto rest = static_cast<double>(block.end_offset - std::max(plan.next, block.base_offset));
    plan.total_bytes += std::max<std::uint64_t>(1, static_cast<std::uint64_t>(block.payload_bytes * (rest / span)));
    plan.next = block.end_offset;
  }
  if (part.blocks.empty()) return false;
  plan.parts.push_back(std::move(part));
  return true;
}

ShardLog::ObjectPlan ShardLog::plan_objects(const Partition& p, model::Offset from, model::Offset to, std::uint32_t max_bytes,
                                            std::uint64_t window_bytes) const {
  ObjectPlan plan{.window_bytes = window_bytes, .next = from};
  for (std::size_t i = p.extents.find(from); i < p.extents.size() && plan.parts.size() < object_reads_inflight_max; ++i) {
    if (!plan_extent(p, p.extents[i], to, max_bytes, plan)) break;
  }
  return plan;
}

runtime::Task<void> ShardLog::load_part(ObjectPlan* plan, std::size_t index, base::MonoTime deadline) {
  ObjectPlan::Part& part = plan->parts[index];
  part.loaded = co_await cache_->get(std::move(part.blocks), part.wanted, deadline, &part.waited);
}

runtime::Task<base::Result<ShardLog::Run>> ShardLog::read_objects(PartitionPtr p, model::Offset from, model::Offset to,
                                                                  std::uint32_t max_bytes, bool at_least_one,
                                                                  base::MonoTime deadline) {
  const std::uint64_t window_bytes = p->readers.begin(from);
  const std::uint64_t merge_count = p->merge_count;
  const ManifestPtr manifest = p->manifest;
  const bool in_history = from < p->covers_to();
  ObjectPlan plan;
  Run run;
  run.from = ReadFrom::memory;
  if (in_history) {
    const auto cold = co_await find_cold(p, from, deadline);
    // The manifest that was asked is not the present one: what it named may be gone.
    if (!cold && (p->manifest != manifest || from < p->log_start)) co_return moved();
    if (!cold) co_return std::unexpected(cold.error());
    plan.next = from;
    plan.window_bytes = window_bytes;
    (void)plan_extent(*p, (*cold)->extent, to, max_bytes, plan);
    run.aborted = (*cold)->aborted;
  } else {
    plan = plan_objects(*p, from, to, max_bytes, window_bytes);
  }
  ENSURE(!plan.parts.empty(), "offset {} lies between log start {} and the tail, but no object holds it", from.value(),
         p->log_start.value());
  if (plan.parts.size() == 1) {
    co_await load_part(&plan, 0, deadline);
  } else {
    runtime::Scope loads;
    for (std::size_t i = 0; i < plan.parts.size(); ++i) loads.spawn("read object", load_part(&plan, i, deadline));
    co_await loads.join();
  }
  Cutter cutter(from, to, max_bytes, at_least_one);
  bool more = true;
  for (std::size_t i = 0; i < plan.parts.size() && more; ++i) {
    ObjectPlan::Part& part = plan.parts[i];
    if (!part.loaded) {
      if (!run.batches.empty()) break;  // what came before it is good
      // Dropped by retention meanwhile: the log start is above it now, and the next look says so. Or merged: it lies elsewhere.
      const bool elsewhere = p->merge_count != merge_count || p->manifest != manifest;
      if (from < p->log_start || p->phase == Phase::removed || elsewhere) co_return moved();
      co_return std::unexpected(std::move(part.loaded).error());
    }
    if (!part.waited.empty()) run.from = ReadFrom::store;
    for (std::size_t b = 0; b < part.loaded->size() && more; ++b) {
      const std::uint64_t before_bytes = cutter.total_bytes();
      WEIR_CO_TRY_ASSIGN(more, cutter.add((*part.loaded)[b], run.batches));
      const bool waited = std::ranges::binary_search(part.waited, b);
      cells_.read_from(waited ? ReadFrom::store : ReadFrom::memory).bytes.add(cutter.total_bytes() - before_bytes);
    }
  }
  run.end = cutter.end();
  if (run.aborted) std::erase_if(*run.aborted, [&](const auto& span) { return span.last < from || span.first >= run.end; });
  if (run.end > from) p->readers.end(from, run.end);
  co_return run;
}

}  // namespace weir::log

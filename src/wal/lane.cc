#include "wal/lane.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"

namespace weir::wal {

Lane::Lane(runtime::Runtime& runtime, const Identity& identity, const Options& options, SegmentBook& book, SegmentFiles& files,
           Gate& gate, Space& space, WalMetrics& metrics)
    : runtime_(runtime),
      identity_(identity),
      options_(options),
      book_(book),
      files_(files),
      gate_(gate),
      space_(space),
      metrics_(metrics) {}

void Lane::submit(std::unique_ptr<Group> group) {
  group->sequence = next_sequence_++;
  outstanding_.insert(group->sequence);
  queue_.push_back(std::move(group));
  pump();
}

void Lane::pump() {
  if (gate_.closed()) {
    fenced(base::Error{base::ErrorKind::fenced, "this session is sealed"});
    return;
  }
  // New groups leave a quarter of the window to re-appends: these must never wait behind what waits for them.
  while (issue(reappends_, options_.window_bytes)) {}
  while (reappends_.empty() && issue(queue_, options_.window_bytes - options_.window_bytes / 4)) {}
  if (stopping_ && inflight_ == 0) drop_queued(base::Error{base::ErrorKind::exhausted, "the WAL stayed full until the stop"});
  publish_space();
  files_.consider();
}

void Lane::drop_queued(const base::Error& why) {
  while (!reappends_.empty() || !queue_.empty()) {
    auto& from = reappends_.empty() ? queue_ : reappends_;
    std::unique_ptr<Group> group = std::move(from.front());
    from.pop_front();
    give_up(std::move(group), why);
  }
}

bool Lane::issue(std::deque<std::unique_ptr<Group>>& queue, std::uint64_t window_bytes) {
  if (queue.empty() || inflight_ >= options_.inflight_writes_max) return false;
  Group& group = *queue.front();
  const std::uint64_t ahead = issued_bytes_ - prefix_bytes_;
  if (!unresolved_.empty() && ahead + group.total_bytes > window_bytes) {
    if (&queue == &reappends_ && inflight_ == 0) {
      // Nothing in flight can move the prefix: this group itself holds it back.
      std::unique_ptr<Group> stuck = std::move(queue.front());
      queue.pop_front();
      give_up(std::move(stuck),
              base::Error{base::ErrorKind::io, "WAL writes keep failing: the window is full of failed copies"});
      return true;
    }
    return false;
  }
  const auto spot = book_.place(group.total_bytes, group.records.size());
  if (!spot) {
    if (!waiting_for_segment_) metrics_.waiting_for_segment.add();
    waiting_for_segment_ = true;
    return false;
  }
  waiting_for_segment_ = false;
  if (spot->position_bytes == block_bytes && files_.at(spot->segment)->laps++ > 0) metrics_.segments_recycled.add();
  group.spot = *spot;
  group.lsn = next_lsn_;
  ++next_lsn_;
  issued_bytes_ += group.total_bytes;
  unresolved_.push_back({.end_bytes = issued_bytes_, .resolved = false});
  ENSURE(unresolved_.size() == 1 || issued_bytes_ - prefix_bytes_ <= options_.window_bytes,
         "the writer is {} bytes past its durable prefix", issued_bytes_ - prefix_bytes_);
  ENSURE(durable_lsn_.value() + unresolved_.size() == group.lsn.value(), "LSN {} does not follow {} unresolved of {}",
         group.lsn.value(), unresolved_.size(), durable_lsn_.value());
  space_.unplaced_bytes.fetch_sub(static_cast<std::int64_t>(group.copies.empty() ? group.admitted_bytes : 0),
                                  std::memory_order_relaxed);
  group.write_header({.identity = identity_,
                      .lsn = group.lsn,
                      .durable_lsn = durable_lsn_,
                      .keyspace_revision = keyspace_revision_,
                      .segment = files_.number(spot->segment),
                      .position_bytes = spot->position_bytes});
  ++inflight_;
  std::unique_ptr<Group> owned = std::move(queue.front());
  queue.pop_front();
  scope_.spawn("wal write", write(std::move(owned)));
  return true;
}

runtime::Task<void> Lane::write(std::unique_ptr<Group> group) {
  const std::shared_ptr<SegmentFile> file = files_.at(group->spot.segment);
  const base::MonoTime began = runtime::Reactor::current().now();
  metrics_.slot_wait.record(began - group->sealed_at);
  group->times.submitted = began;
  while (true) {
    auto written = co_await file->file->write_at(group->spot.position_bytes, group->pieces(), runtime::Durability::synced);
    if (!written && written.kind() == base::ErrorKind::exhausted && !stopping_ && !gate_.closed()) {
      // The file system is full: nothing was promised and nothing else is at this place, so the very same bytes are written to
      // the very same place until there is room. Admission closes meanwhile because the queue is full.
      metrics_.no_space.add();
      runtime_.log->warn("wal", "no space left on the WAL's file system: appends wait", {{"segment", file->path}});
      co_await runtime::sleep_for(no_space_retry, &scope_.stop_token());
      continue;
    }
    group->times.written = runtime::Reactor::current().now();
    metrics_.device_latency.record(group->times.written - began);
    if (!written) {
      write_failed(std::move(group), std::move(written).error());
      co_return;
    }
    break;
  }
  // After completion, before anything is called durable.
  const base::Result<void> passed = co_await gate_.pass();
  --inflight_;
  if (!passed) {
    give_up(std::move(group), passed.error());
    fenced(passed.error());
    co_return;
  }
  durable(std::move(group));
  pump();
}

void Lane::durable(std::unique_ptr<Group> group) {
  last_durable_ = runtime::Reactor::current().now();
  std::vector<StatedOffset> statements;
  statements.reserve(group->statements.size());
  for (const Statement& statement : group->statements) {
    statements.push_back({.partition = statement.partition, .offset = statement.high_watermark});
  }
  book_.completed(group->spot.segment, group->lsn, group->records.size(), statements, group->copies);
  metrics_.writes.add();
  metrics_.written_bytes.add(group->total_bytes);
  metrics_.records.add(group->records.size());
  resolved(*group);
  hand_back(std::move(group), nullptr);
}

void Lane::resolved(const Group& group) {
  const auto mark = [this](model::Lsn lsn) {
    ENSURE(lsn > durable_lsn_, "LSN {} was resolved twice", lsn.value());
    unresolved_[lsn.value() - durable_lsn_.value() - 1].resolved = true;
  };
  for (const model::Lsn lsn : group.failed_lsns) mark(lsn);
  mark(group.lsn);
  while (!unresolved_.empty() && unresolved_.front().resolved) {
    prefix_bytes_ = unresolved_.front().end_bytes;
    unresolved_.pop_front();
    ++durable_lsn_;
  }
}

void Lane::write_failed(std::unique_ptr<Group> group, base::Error why) {
  --inflight_;
  metrics_.write_failures.add();
  runtime_.log->error("wal", "a WAL write failed: its segment takes no more writes",
                      {{"segment", files_.at(group->spot.segment)->path}, {"lsn", group->lsn.value()}, {"error", why.text}});
  book_.failed(group->spot.segment);
  group->copies.push_back(group->spot.segment);
  if (stopping_ || gate_.closed() || group->copies.size() > options_.reappend_attempts_max) {
    give_up(std::move(group), why);
    pump();
    return;
  }
  group->failed_lsns.push_back(group->lsn);
  metrics_.reappends.add();
  const auto first_lsn = [](const std::unique_ptr<Group>& g) { return g->failed_lsns.front(); };
  const auto at = std::find_if(reappends_.begin(), reappends_.end(),
                               [&](const std::unique_ptr<Group>& other) { return first_lsn(other) > first_lsn(group); });
  reappends_.insert(at, std::move(group));
  pump();
}

void Lane::give_up(std::unique_ptr<Group> group, const base::Error& why) {
  metrics_.given_up.add();
  const bool was_issued = group->lsn > model::Lsn(0);
  if (!was_issued) {
    space_.unplaced_bytes.fetch_sub(static_cast<std::int64_t>(group->admitted_bytes), std::memory_order_relaxed);
  } else if (why.kind != base::ErrorKind::fenced) {
    // Its records will be void. Until offsets beyond them are uploaded their copies keep their places.
    std::vector<StatedOffset> ends;
    ends.reserve(group->records.size());
    for (const GroupRecord& record : group->records) {
      ends.push_back({.partition = record.entry.header.partition,
                      .offset = record.entry.header.base_offset + record.entry.header.offset_count});
    }
    book_.given_up(group->copies, ends);
    const bool last_is_marked = !group->failed_lsns.empty() && group->failed_lsns.back() == group->lsn;
    if (last_is_marked) group->failed_lsns.pop_back();
    resolved(*group);
  }
  hand_back(std::move(group), &why);
}

void Lane::hand_back(std::unique_ptr<Group> group, const base::Error* why) {
  outstanding_.erase(group->sequence);
  forget_gone();
  ShardAppender* appender = appenders_.at(group->shard.value());
  if (group->shard == runtime::ShardId(0)) {
    if (why == nullptr) {
      appender->group_durable(std::move(group));
    } else {
      appender->group_failed(std::move(group), *why);
    }
    return;
  }
  runtime::Reactor& home = runtime_.shard(group->shard);
  if (why == nullptr) {
    home.post([appender, g = std::move(group)]() mutable { appender->group_durable(std::move(g)); });
  } else {
    home.post([appender, g = std::move(group), error = *why]() mutable { appender->group_failed(std::move(g), error); });
  }
}

void Lane::fenced(const base::Error& why) {
  space_.fenced.store(true, std::memory_order_relaxed);
  if (!fenced_) {
    fenced_ = true;
    runtime_.log->error("wal", "this session is sealed: nothing is acknowledged any more", {{"why", why.text}});
    gate_.close(why.text);
    files_.freeze();
    for (std::uint32_t shard = 0; shard < appenders_.size(); ++shard) {
      runtime_.shard(runtime::ShardId(shard)).post([appender = appenders_[shard], why] { appender->refuse(why); });
    }
  }
  drop_queued(why);
}

void Lane::seal(std::string why) { fenced(base::Error{base::ErrorKind::fenced, std::move(why)}); }

void Lane::take_returns(std::vector<ShardAppender::Released> released, std::vector<StatedOffset> uploaded) {
  for (const ShardAppender::Released& run : released) book_.release(run.segment, run.lsn, run.records);
  for (const StatedOffset& to : uploaded) {
    book_.uploaded_to(to.partition, to.offset);
    if (to.offset.value() == INT64_MAX) gone_.push_back({.partition = to.partition, .below_sequence = next_sequence_});
  }
  forget_gone();
  pump();
}

void Lane::forget_gone() {
  // A sealed group that still names the partition would hold its segment for ever once the partition's end is forgotten.
  while (!gone_.empty() && (outstanding_.empty() || *outstanding_.begin() >= gone_.front().below_sequence)) {
    book_.forget(gone_.front().partition);
    gone_.pop_front();
  }
}

void Lane::publish_space() {
  const std::int64_t usable = files_.usable_bytes();
  space_.usable_bytes.store(usable, std::memory_order_relaxed);
  metrics_.used_bytes.set(static_cast<std::int64_t>(files_.used_bytes()));
}

runtime::Task<base::Result<bytes::Buffer>> Lane::read(Place place) {
  co_await reads_.acquire(1);
  const std::shared_ptr<SegmentFile> file = files_.at(place.segment);
  const std::uint64_t from = place.offset_bytes / block_bytes * block_bytes;
  const std::uint64_t to = round_up(std::uint64_t{place.offset_bytes} + place.length_bytes, block_bytes);
  base::Result<bytes::Buffer> result = base::fail(base::ErrorKind::corrupt, "the segment is retired");
  if (file->file) {
    bytes::SlabRef slab = bytes::SlabRef::allocate(to - from, block_bytes);
    ++file->users;
    auto count = co_await file->file->read_at(from, slab.writable());
    --file->users;
    if (!count) {
      result = base::with_context(co_await describe(place), count.error());
    } else if (*count < place.offset_bytes - from + place.length_bytes) {
      result = base::fail(base::ErrorKind::corrupt, "the file is too short: " + co_await describe(place));
    } else {
      result = bytes::Buffer(std::move(slab), place.offset_bytes - from, place.length_bytes);
    }
  }
  reads_.release(1);
  co_return result;
}

runtime::Task<std::string> Lane::describe(Place place) {
  co_return fmt::format("{} at byte {}, {} bytes, LSN {}", files_.at(place.segment)->path, place.offset_bytes,
                        place.length_bytes, place.lsn.value());
}

void Lane::begin_stop() {
  stopping_ = true;
  scope_.request_stop();
  pump();
}

}  // namespace weir::wal

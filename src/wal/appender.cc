#include "wal/appender.h"

#include <algorithm>
#include <cstring>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "runtime/submit.h"
#include "wal/core/commit_rule.h"
#include "wal/lane.h"

namespace weir::wal {
namespace {
/// What a new group may cost beside its payloads: header, rounding, and a line for its first record.
constexpr std::uint64_t group_overhead_bytes = group_header_bytes + 2 * block_bytes;
/// Payloads of a run that are checked without giving way.
constexpr std::uint64_t read_run_step_bytes = 64U << 10U;

std::uint64_t record_cost(std::size_t payload_bytes) {
  return round_up(payload_bytes, payload_alignment_bytes) + record_entry_bytes;
}
}  // namespace

ShardAppender::ShardAppender(runtime::Runtime& runtime, runtime::ShardId shard, AppenderLimits limits, SlabBudget& budget,
                             Space& space, WalMetrics& metrics)
    : runtime_(runtime),
      reactor_(runtime.shard(shard)),
      shard_(shard),
      limits_(limits),
      space_(space),
      metrics_(metrics),
      pool_(limits.slab_bytes, budget) {}

ShardAppender::~ShardAppender() {
  ENSURE(waiters_.empty(), "an appender was destroyed with {} appends waiting", waiters_.size());
  ENSURE(under_way_ == 0, "an appender was destroyed with {} groups under way", under_way_);
}

void ShardAppender::begin(Lane* lane, ShardSink* sink) {
  lane_ = lane;
  sink_ = sink;
}

void ShardAppender::know(std::vector<ShardAppender*> all) { all_ = std::move(all); }

// --- admission ---

bool ShardAppender::fits_open(std::size_t payload_bytes) const {
  if (!open_) return false;
  const std::uint64_t tables = table_bytes(open_->records.size() + 1, 0);
  return open_->begin_bytes + open_->fill_bytes + round_up(payload_bytes, payload_alignment_bytes) + tables <=
         open_->slab.size();
}

bool ShardAppender::admits(std::size_t payload_bytes) const {
  if (refused_ || sink_ == nullptr || space_.fenced.load(std::memory_order_relaxed)) return false;
  const std::uint64_t cost = record_cost(payload_bytes) + group_overhead_bytes;
  if (queue_bytes_ > 0 && queue_bytes_ + cost > limits_.queue_bytes_max) return false;
  if (!space_.has(cost)) return false;
  return !lacks_memory(payload_bytes);
}

bool ShardAppender::lacks_memory(std::size_t payload_bytes) const {
  if (fits_open(payload_bytes)) return false;
  const std::uint64_t cost = record_cost(payload_bytes) + group_overhead_bytes;
  if (!open_ && slab_ && slab_fill_bytes_ + cost <= slab_.size()) return false;
  return !pool_.available(group_header_bytes + record_cost(payload_bytes));
}

// A slab is free once the last batch in it is let go: what is asked for may sit in slabs that hold other batches too. So the
// sink is asked again while it has something to give. The other shards hold part of the same budget.
void ShardAppender::make_room(std::size_t payload_bytes, bool ask_others) {
  const std::size_t wanted = std::max(limits_.slab_bytes, payload_bytes);
  for (int asked = 0; asked < slabs_let_go_max && lacks_memory(payload_bytes); ++asked) {
    if (!sink_->memory_wanted(wanted)) break;
  }
  if (!ask_others || !lacks_memory(payload_bytes)) return;
  for (ShardAppender* other : all_) {
    if (other != this) other->reactor_.post([other, wanted] { other->give_back(wanted); });
  }
}

void ShardAppender::give_back(std::size_t bytes) {
  pool_.trim(1);
  if (sink_ != nullptr && pool_.holds_shared()) {
    sink_->memory_wanted(bytes);
    pool_.tell();
  }
}

bool ShardAppender::can_append(std::size_t payload_bytes) const {
  return waiters_.empty() && payload_bytes <= limits_.payload_bytes_max && admits(payload_bytes);
}

void ShardAppender::wake_front() {
  if (!waiters_.empty()) waiters_.front()->turn.pulse();
}

runtime::Task<base::Result<void>> ShardAppender::wait_admission(std::size_t payload_bytes, base::MonoTime deadline) {
  if (payload_bytes > limits_.payload_bytes_max) {
    co_return base::fail(base::ErrorKind::invalid, fmt::format("a payload of {} bytes exceeds what a WAL segment takes ({})",
                                                               payload_bytes, limits_.payload_bytes_max));
  }
  if (can_append(payload_bytes)) co_return base::Result<void>();
  metrics_.admission_waits.add();
  Waiter waiter{.bytes = payload_bytes, .turn = {}};
  waiters_.push_back(&waiter);
  base::Result<void> result;
  for (int looks = 0;; ++looks) {
    if (refused_) {
      result = std::unexpected(*refused_);
      break;
    }
    if (waiters_.front() == &waiter && admits(payload_bytes)) break;
    if (reactor_.now() >= deadline) {
      metrics_.admission_refused.add();
      result = base::fail(base::ErrorKind::exhausted, "the WAL, or the memory of its groups, stayed full");
      break;
    }
    // Memory comes back wherever a buffer's last reader is, without a call to here: the front looks again from time to time.
    const bool front = waiters_.front() == &waiter;
    if (front && looks == 0) {
      co_await runtime::yield();  // the sink is never called from inside an Appender call
    } else {
      const base::MonoTime recheck = front ? reactor_.now() + admission_recheck : runtime::no_deadline;
      co_await waiter.turn.wait(std::min(deadline, recheck));
    }
    if (front && !refused_ && sink_ != nullptr && lacks_memory(payload_bytes)) make_room(payload_bytes, looks > 0);
  }
  std::erase(waiters_, &waiter);
  wake_front();
  co_return result;
}

void ShardAppender::refuse(base::Error why) {
  if (!refused_) refused_ = std::move(why);
  for (Waiter* waiter : waiters_) waiter->turn.pulse();
}

// --- filling groups ---

void ShardAppender::open_group(std::size_t payload_bytes) {
  const std::size_t least = group_header_bytes + record_cost(payload_bytes);
  // Nobody but the pool and this appender holds the slab: its pages are warm, begin it anew.
  if (under_way_ == 0 && full_.empty() && slab_.holders() == 2) slab_fill_bytes_ = 0;
  if (!slab_ || slab_fill_bytes_ + least > slab_.size()) {
    slab_ = bytes::SlabRef();
    slab_ = pool_.take(least);
    slab_fill_bytes_ = 0;
  }
  open_ = std::make_unique<Group>();
  open_->shard = shard_;
  open_->slab = slab_;
  open_->begin_bytes = slab_fill_bytes_;
  open_->fill_bytes = group_header_bytes;
  open_->admitted_bytes = group_overhead_bytes;
  space_.unplaced_bytes.fetch_add(static_cast<std::int64_t>(group_overhead_bytes), std::memory_order_relaxed);
  queue_bytes_ += group_overhead_bytes;
}

Appender::Reservation ShardAppender::reserve(const RecordHeader& header, std::size_t payload_bytes, RecordToken token) {
  ENSURE(!reserved_, "a reservation was not committed");
  ENSURE(payload_bytes > 0 && payload_bytes <= limits_.payload_bytes_max, "a payload of {} bytes", payload_bytes);
  if (open_ && !fits_open(payload_bytes)) {
    full_.push_back(std::move(open_));
    slab_fill_bytes_ = slab_.size();  // the rest is for the closed group's table
  }
  if (!open_) open_group(payload_bytes);
  GroupRecord record;
  record.entry.header = header;
  record.entry.payload_offset_bytes = static_cast<std::uint32_t>(open_->fill_bytes);
  record.entry.payload_length_bytes = static_cast<std::uint32_t>(payload_bytes);
  record.token = token;
  open_->records.push_back(record);
  const std::uint64_t cost = record_cost(payload_bytes);
  open_->fill_bytes += round_up(payload_bytes, payload_alignment_bytes);
  open_->admitted_bytes += cost;
  queue_bytes_ += cost;
  space_.unplaced_bytes.fetch_add(static_cast<std::int64_t>(cost), std::memory_order_relaxed);
  reserved_ = true;
  return {.payload = bytes::MutableBytes(open_->front() + record.entry.payload_offset_bytes, payload_bytes),
          .id = ++reservation_id_};
}

bytes::Buffer ShardAppender::commit_record(const Reservation& reservation, std::uint32_t crc) {
  ENSURE(reserved_ && reservation.id == reservation_id_, "commit of reservation {}, open is {}", reservation.id,
         reservation_id_);
  reserved_ = false;
  RecordEntry& entry = open_->records.back().entry;
  entry.payload_crc = crc;
  const std::size_t end = entry.payload_offset_bytes + entry.payload_length_bytes;
  std::memset(open_->front() + end, 0, open_->fill_bytes - end);
  schedule_pump();
  return bytes::Buffer(open_->slab, open_->begin_bytes + entry.payload_offset_bytes, entry.payload_length_bytes);
}

// --- handing groups to the lane ---

void ShardAppender::schedule_pump() {
  if (pump_posted_) return;
  pump_posted_ = true;
  reactor_.post([this] {
    pump_posted_ = false;
    pump();
  });
}

void ShardAppender::pump() {
  while (under_way_ < limits_.groups_max) {
    if (!full_.empty()) {
      std::unique_ptr<Group> group = std::move(full_.front());
      full_.pop_front();
      send(std::move(group));
      continue;
    }
    if (!open_ || reserved_ || !may_send_group(under_way_, open_->fill_bytes, limits_.groups_max)) break;
    std::unique_ptr<Group> group = std::move(open_);
    Group* sealed = group.get();
    take_statements(*group);
    group->seal();
    slab_fill_bytes_ = sealed->table_slab ? slab_.size() : sealed->begin_bytes + sealed->total_bytes;
    send(std::move(group));
  }
  if (idle()) drained_.pulse();
}

void ShardAppender::take_statements(Group& group) {
  sink_->collect_statements(group.statements);
  // Those that do not fit stay unstated in the sink and come with the next group.
  if (group.statements.size() > limits_.statements_max) group.statements.resize(limits_.statements_max);
}

void ShardAppender::send(std::unique_ptr<Group> group) {
  if (group->total_bytes == 0) {
    take_statements(*group);
    group->seal();
  }
  ++under_way_;
  last_activity_ = reactor_.now();
  group->sealed_at = last_activity_;
  if (shard_ == runtime::ShardId(0)) {
    lane_->submit(std::move(group));
    return;
  }
  runtime_.shard(runtime::ShardId(0)).post([lane = lane_, g = std::move(group)]() mutable { lane->submit(std::move(g)); });
}

void ShardAppender::control_group(std::shared_ptr<runtime::Completion<base::Result<void>>> flushed, bool even_empty) {
  auto group = std::make_unique<Group>();
  take_statements(*group);
  if (group->statements.empty() && !even_empty) {
    flush_done(flushed, base::Result<void>());
    return;
  }
  const std::size_t size = round_up(group_header_bytes + table_bytes(0, group->statements.size()), block_bytes);
  group->shard = shard_;
  group->slab = bytes::SlabRef::allocate(size, block_bytes);
  group->fill_bytes = group_header_bytes;
  group->flushed = std::move(flushed);
  group->seal();
  metrics_.control_groups.add();
  send(std::move(group));
}

runtime::Task<base::Result<void>> ShardAppender::flush(bool even_empty) {
  if (refused_) co_return std::unexpected(*refused_);
  if (sink_ == nullptr) co_return base::fail(base::ErrorKind::retry, "the WAL has not started");
  if (flushes_ >= flushes_max) {
    co_return base::fail(base::ErrorKind::retry, fmt::format("{} WAL probes are under way and not durable", flushes_));
  }
  auto flushed = std::make_shared<runtime::Completion<base::Result<void>>>();
  ++flushes_;
  control_group(flushed, even_empty);
  if (co_await flushed->wait(reactor_.now() + flush_wait_max) != runtime::Wake::ready) {
    co_return base::fail(base::ErrorKind::retry, "a WAL write has not become durable in time: the device is slow or full");
  }
  co_return flushed->value();
}

void ShardAppender::flush_done(const std::shared_ptr<runtime::Completion<base::Result<void>>>& flushed,
                               base::Result<void> result) {
  if (!flushed) return;
  ENSURE(flushes_ > 0, "a flush ended that had not begun");
  --flushes_;
  flushed->complete(std::move(result));
}

// --- what comes back ---

void ShardAppender::finished(const Group& group) {
  ENSURE(under_way_ > 0, "a group came back that was not under way");
  --under_way_;
  std::uint64_t admitted = group.admitted_bytes;
  ENSURE(queue_bytes_ >= admitted, "{} queued bytes, {} finished", queue_bytes_, admitted);
  queue_bytes_ -= admitted;
  last_activity_ = reactor_.now();
}

void ShardAppender::group_durable(std::unique_ptr<Group> group) {
  finished(*group);
  group->times.durable = last_activity_;
  durable_scratch_.clear();
  for (const GroupRecord& record : group->records) {
    durable_scratch_.push_back({.token = record.token,
                                .place = {.segment = group->spot.segment,
                                          .offset_bytes = group->spot.position_bytes + record.entry.payload_offset_bytes,
                                          .length_bytes = record.entry.payload_length_bytes,
                                          .crc = record.entry.payload_crc,
                                          .lsn = group->lsn},
                                .times = group->times});
  }
  sink_->records_durable(durable_scratch_, group->statements);
  flush_done(group->flushed, base::Result<void>());
  group.reset();
  pump();
  wake_front();
  arm_idle_timer();
}

void ShardAppender::group_failed(std::unique_ptr<Group> group, const base::Error& why) {
  finished(*group);
  if (why.kind == base::ErrorKind::fenced) refuse(why);
  std::vector<RecordToken> tokens;
  tokens.reserve(group->records.size());
  for (const GroupRecord& record : group->records) tokens.push_back(record.token);
  sink_->records_failed(tokens, why);
  flush_done(group->flushed, std::unexpected(why));
  group.reset();
  pump();
  wake_front();
}

// --- idle: high watermarks that no group has stated get a control group ---

void ShardAppender::arm_idle_timer() {
  if (idle_timer_ != 0 || refused_ || under_way_ > 0 || open_) return;
  idle_timer_ = reactor_.call_at(last_activity_ + idle_statement_delay, [this] { idle_timer_fired(); });
}

void ShardAppender::idle_timer_fired() {
  idle_timer_ = 0;
  if (under_way_ > 0 || open_ || refused_) return;  // the next completion arms it again
  if (reactor_.now() < last_activity_ + idle_statement_delay) {
    arm_idle_timer();
    return;
  }
  pool_.trim(1);
  control_group(nullptr, false);
}

// --- release, upload progress, reads ---

void ShardAppender::release(std::span<const Place> places) {
  for (const Place& place : places) {
    if (!released_.empty() && released_.back().segment == place.segment && released_.back().lsn == place.lsn) {
      ++released_.back().records;
    } else {
      released_.push_back({.segment = place.segment, .lsn = place.lsn, .records = 1});
    }
  }
  schedule_returns();
}

void ShardAppender::uploaded_to(const model::TopicPartition& partition, model::Offset offset) {
  uploaded_.push_back({.partition = partition, .offset = offset});
  schedule_returns();
}

void ShardAppender::schedule_returns() {
  if (returns_posted_ || (released_.empty() && uploaded_.empty())) return;
  returns_posted_ = true;
  reactor_.post([this] { send_returns(); });
}

void ShardAppender::send_returns() {
  returns_posted_ = false;
  ENSURE(lane_ != nullptr, "release before recovery");
  if (shard_ == runtime::ShardId(0)) {
    lane_->take_returns(std::move(released_), std::move(uploaded_));
  } else {
    runtime_.shard(runtime::ShardId(0)).post([lane = lane_, r = std::move(released_), u = std::move(uploaded_)]() mutable {
      lane->take_returns(std::move(r), std::move(u));
    });
  }
  released_.clear();
  uploaded_.clear();
  if (idle()) drained_.pulse();
}

runtime::Task<base::Result<bytes::Buffer>> ShardAppender::read(Place place) {
  ENSURE(lane_ != nullptr, "read before recovery");
  auto raw =
      co_await runtime::submit_to(runtime_.shard(runtime::ShardId(0)), [lane = lane_, place] { return lane->read(place); });
  if (!raw) co_return std::unexpected(std::move(raw).error());
  metrics_.reads.add();
  if (bytes::crc32c(raw->view()) != place.crc) {
    metrics_.read_corrupt.add();
    const std::string where = co_await runtime::submit_to(runtime_.shard(runtime::ShardId(0)),
                                                          [lane = lane_, place] { return lane->describe(place); });
    co_return base::fail(base::ErrorKind::corrupt, "the payload's checksum does not match: " + where);
  }
  co_return std::move(*raw);
}

runtime::Task<std::vector<base::Result<bytes::Buffer>>> ShardAppender::read_run(std::vector<Place> places) {
  std::vector<base::Result<bytes::Buffer>> results;
  results.reserve(places.size());
  bytes::Buffer all;
  bool sparse = false;  // payloads that are little of what was read are copied: they must not keep the rest in memory
  if (places.size() > 1) {
    const Place& first = places.front();
    const Place& last = places.back();
    ENSURE(first.segment == last.segment && first.offset_bytes < last.offset_bytes, "a run of places out of order");
    Place whole = first;
    whole.length_bytes = last.offset_bytes + last.length_bytes - first.offset_bytes;
    std::uint64_t payload_bytes = 0;
    for (const Place& place : places) payload_bytes += place.length_bytes;
    sparse = payload_bytes < whole.length_bytes / 2;
    ENSURE(whole.length_bytes <= read_run_bytes_max, "a run of places over {} bytes", whole.length_bytes);
    auto raw =
        co_await runtime::submit_to(runtime_.shard(runtime::ShardId(0)), [lane = lane_, whole] { return lane->read(whole); });
    if (raw) {
      metrics_.reads.add();
      all = std::move(*raw);
    }
  }
  // Several runs may be read at once, and a run has up to a thousand payloads: the shard has other things to do in between.
  std::uint64_t step_left_bytes = 0;
  for (const Place& place : places) {
    if (!all.empty()) {
      if (step_left_bytes == 0) {
        co_await runtime::give_way();
        step_left_bytes = read_run_step_bytes;
      }
      step_left_bytes -= std::min<std::uint64_t>(step_left_bytes, place.length_bytes);
      bytes::Buffer payload = all.slice(place.offset_bytes - places.front().offset_bytes, place.length_bytes);
      if (bytes::crc32c(payload.view()) == place.crc) {
        results.emplace_back(sparse ? bytes::Buffer::copy_of(payload.view()) : std::move(payload));
        continue;
      }
    }
    results.push_back(co_await read(place));
  }
  co_return results;
}

bool ShardAppender::idle() const { return under_way_ == 0 && !open_ && full_.empty() && !pump_posted_ && !returns_posted_; }

runtime::Task<void> ShardAppender::drain() {
  while (!idle()) { co_await drained_.wait(); }
  if (idle_timer_ != 0) reactor_.cancel_timer(idle_timer_);
  idle_timer_ = 0;
}

}  // namespace weir::wal

#include "sim/history.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/ensure.h"
#include "model/records.h"

namespace weir::sim {
namespace {

// Byte places in a batch (model/record_batch.h).
constexpr std::size_t last_offset_delta_at = 23;
constexpr std::size_t max_timestamp_at = 35;
constexpr std::size_t producer_id_at = 43;
constexpr std::size_t crc_at = 17;

std::uint64_t hash_bytes(std::uint64_t h, bytes::Bytes data) {
  for (const std::byte b : data) h = (h ^ static_cast<std::uint64_t>(b)) * 0x100000001b3ULL;
  return h;
}

}  // namespace

// Over what a broker may not change whatever the topic's timestamp setting: not base offset, epoch, CRC, attributes and
// maxTimestamp. A compressing topic changes the records' bytes: then the header's producer part and first record decide.
std::uint64_t History::identity(bytes::Bytes batch) {
  std::uint64_t h =
      hash_bytes(0xcbf29ce484222325ULL, batch.subspan(last_offset_delta_at, max_timestamp_at - last_offset_delta_at));
  return hash_bytes(h, batch.subspan(producer_id_at, model::batch_header_bytes - producer_id_at));
}

History::Partition& History::part(const model::TopicPartition& partition) {
  const auto it = partitions_.find(partition);
  ENSURE(it != partitions_.end(), "a partition that was not added to the history");
  return it->second;
}
const History::Partition& History::part(const model::TopicPartition& partition) const {
  const auto it = partitions_.find(partition);
  ENSURE(it != partitions_.end(), "a partition that was not added to the history");
  return it->second;
}

void History::add_partition(const model::TopicPartition& partition, std::string name, PartitionRules rules) {
  Partition& p = partitions_[partition];
  p.name = std::move(name);
  p.rules = rules;
  p.known.log_start = p.known.last_stable = p.known.high_watermark = p.known.acked_end = model::Offset(rules.first_offset);
}

void History::partition_deleted(const model::TopicPartition& partition) { part(partition).deleted = true; }
bool History::deleted(const model::TopicPartition& partition) const { return part(partition).deleted; }
std::string History::name_of(const model::TopicPartition& partition) const { return part(partition).name; }

std::vector<model::TopicPartition> History::partitions() const {
  std::vector<model::TopicPartition> all;
  for (const auto& [partition, p] : partitions_) all.push_back(partition);
  return all;
}

void History::violation(std::string text) {
  const double seconds = static_cast<double>((world_.now() - world_start).count()) * 1e-9;
  violations_.push_back(fmt::format("{:.6f} {}", seconds, text));
  world_.note("violation", violations_.size());
}

// --- producers ---

BatchNumber History::produced(const model::TopicPartition& partition, bytes::Buffer batch) {
  Partition& p = part(partition);
  ProducedBatch produced;
  produced.number = batches_.size() + 1;
  produced.partition = partition;
  const auto header = model::peek_batch_header(batch.view());
  ENSURE(header.has_value(), "a produced batch without a header");
  produced.header = *header;
  produced.bytes = std::move(batch);
  const bool fresh = p.by_identity.emplace(identity(produced.bytes.view()), produced.number).second;
  ENSURE(fresh, "two produced batches look alike: the checker could not tell them apart");
  if (header->has_producer()) {
    p.sessions[{header->producer_id.value(), header->producer_epoch.value()}][header->base_sequence.value()] = produced.number;
  }
  batches_.push_back(std::move(produced));
  return batches_.back().number;
}

void History::send_began(BatchNumber number) { ++batches_.at(number - 1).sends; }

void History::refused(BatchNumber number) {
  ProducedBatch& batch = batches_.at(number - 1);
  ENSURE(batch.sends > 0, "an answer to a batch that was not sent");
  --batch.sends;
  ++batch.refusals;
  if (batch.sends == 0 && !batch.seen_at.empty()) {
    violation(fmt::format("{}: batch {} was served at offset {} although each attempt was refused", part(batch.partition).name,
                          number, *batch.seen_at.begin()));
  }
}

void History::acked_as_old_duplicate(BatchNumber number) {
  const ProducedBatch& batch = batches_.at(number - 1);
  if (batch.sends < 2) {
    violation(fmt::format("{}: batch {} is called a duplicate although it was sent once", part(batch.partition).name, number));
  }
}

base::WallMs History::unique_timestamp(const model::TopicPartition& partition, base::WallMs wanted) {
  Partition& p = part(partition);
  while (!p.timestamps.insert(wanted).second) ++wanted;
  return wanted;
}

void History::refused_out_of_order(BatchNumber number) {
  const ProducedBatch& batch = batches_.at(number - 1);
  Partition& p = part(batch.partition);
  const auto& session = p.sessions[{batch.header.producer_id.value(), batch.header.producer_epoch.value()}];
  const bool all_acked = std::ranges::all_of(session, [&](const auto& entry) {
    return entry.first >= batch.header.base_sequence.value() || batches_.at(entry.second - 1).acked_at.has_value();
  });
  if (all_acked && !p.deleted) {
    const auto at = session.lower_bound(batch.header.base_sequence.value());
    const std::string before = at == session.begin() ? "none"
                                                     : fmt::format("sequence {} at offset {}", std::prev(at)->first,
                                                                   batches_.at(std::prev(at)->second - 1).acked_at->value());
    violation(fmt::format("{}: batch {} (sequence {}) refused as out of order although all before it are acked, last {}",
                          p.name, number, batch.header.base_sequence.value(), before));
  }
  refused(number);
}

void History::acked(BatchNumber number, model::Offset base_offset) {
  ProducedBatch& batch = batches_.at(number - 1);
  Partition& p = part(batch.partition);
  world_.note("history.acked", number, static_cast<std::uint64_t>(base_offset.value()));
  const model::Offset end = base_offset + (batch.header.last_offset_delta + 1);
  if (base_offset.value() < 0) {
    violation(fmt::format("{}: batch {} acked without an offset", p.name, number));
    return;
  }
  if (batch.acked_at && batch.header.has_producer() && *batch.acked_at != base_offset) {
    violation(fmt::format("{}: batch {} acked at {} and, as a duplicate, at {}", p.name, number, batch.acked_at->value(),
                          base_offset.value()));
  }
  if (!batch.acked_at) {
    ++acked_batches_;
    acked_records_ += static_cast<std::uint64_t>(batch.header.record_count);
  }
  batch.acked_at = base_offset;
  const auto [place, fresh] = p.acked.emplace(base_offset.value(), number);
  if (!fresh && place->second != number) {
    violation(
        fmt::format("{}: offset {} acked to batch {} and to batch {}", p.name, base_offset.value(), place->second, number));
  }
  check_place(p, batch, base_offset, end, "acked");
  p.known.acked_end = std::max(p.known.acked_end, end);
}

// The range must not touch another batch, acked or seen.
void History::check_place(Partition& p, const ProducedBatch& batch, model::Offset base, model::Offset end,
                          std::string_view how) {
  const auto clash = [&](std::int64_t other_base, model::Offset other_end, BatchNumber other, std::string_view other_how) {
    if (other == batch.number && other_base == base.value()) return;
    if (other_base >= end.value() || other_end <= base) return;
    violation(fmt::format("{}: batch {} {} at [{}, {}) but batch {} was {} at [{}, {})", p.name, batch.number, how,
                          base.value(), end.value(), other, other_how, other_base, other_end.value()));
  };
  auto seen = p.seen.lower_bound(base.value());
  if (seen != p.seen.begin()) --seen;
  for (; seen != p.seen.end() && seen->first < end.value(); ++seen)
    clash(seen->first, seen->second.end, seen->second.number, "seen");
  auto acked = p.acked.lower_bound(base.value());
  if (acked != p.acked.begin()) --acked;
  for (; acked != p.acked.end() && acked->first < end.value(); ++acked) {
    const ProducedBatch& other = batches_.at(acked->second - 1);
    clash(acked->first, model::Offset(acked->first) + (other.header.last_offset_delta + 1), acked->second, "acked");
  }
}

// --- readers ---

History::Known History::known(const model::TopicPartition& partition) const { return part(partition).known; }

bool History::expired(const Partition& p, base::WallMs max_timestamp) const {
  // The broker's clock may have jumped by an hour either way.
  constexpr std::int64_t clock_slack_ms = 2 * 3'600'000;
  return p.rules.retention_by_size ||
         (p.rules.retention_ms >= 0 && max_timestamp + p.rules.retention_ms < world_.wall_ms() + clock_slack_ms);
}

bool History::same_content(const Partition& p, const ProducedBatch& batch, bytes::Bytes served) const {
  const bytes::Bytes sent = batch.bytes.view();
  if (!p.rules.log_append_time && !p.rules.recompressed) {
    return sent.size() == served.size() && std::memcmp(sent.data() + crc_at, served.data() + crc_at, sent.size() - crc_at) == 0;
  }
  auto sent_records = model::RecordReader::open(sent);
  auto served_records = model::RecordReader::open(served);
  if (!sent_records || !served_records) return false;
  const auto same = [](const std::optional<bytes::Bytes>& a, const std::optional<bytes::Bytes>& b) {
    if (!a || !b) return a.has_value() == b.has_value();
    return a->size() == b->size() && (a->empty() || std::memcmp(a->data(), b->data(), a->size()) == 0);
  };
  for (;;) {
    const auto x = sent_records->next();
    const auto y = served_records->next();
    if (!x || !y || x->has_value() != y->has_value()) return false;
    if (!x->has_value()) return true;
    if (!same((*x)->key, (*y)->key) || !same((*x)->value, (*y)->value)) return false;
  }
}

void History::check_session_order(Partition& p, const ProducedBatch& batch, model::Offset base) {
  const auto& session = p.sessions[{batch.header.producer_id.value(), batch.header.producer_epoch.value()}];
  const auto it = session.find(batch.header.base_sequence.value());
  ENSURE(it != session.end(), "an idempotent batch without its session");
  if (it != session.begin()) {
    const ProducedBatch& before = batches_.at(std::prev(it)->second - 1);
    if (!before.seen_at.empty() && *before.seen_at.begin() > base.value()) {
      violation(fmt::format("{}: batch {} at {} stands before its predecessor {} at {}", p.name, batch.number, base.value(),
                            before.number, *before.seen_at.begin()));
    }
    if (before.acked_at && *before.acked_at > base) {
      violation(fmt::format("{}: batch {} at {} stands before its acked predecessor {} at {}", p.name, batch.number,
                            base.value(), before.number, before.acked_at->value()));
    }
  }
  if (const auto next = std::next(it); next != session.end()) {
    const ProducedBatch& after = batches_.at(next->second - 1);
    if (!after.seen_at.empty() && *after.seen_at.begin() < base.value()) {
      violation(fmt::format("{}: batch {} at {} stands after its successor {} at {}", p.name, batch.number, base.value(),
                            after.number, *after.seen_at.begin()));
    }
  }
}

BatchNumber History::number_of(const model::TopicPartition& partition, bytes::Bytes batch) const {
  const Partition& p = part(partition);
  const auto found = p.by_identity.find(identity(batch));
  return found == p.by_identity.end() ? 0 : found->second;
}

void History::observe_marker(const model::TopicPartition& partition, bytes::Bytes bytes, const model::BatchHeader& header) {
  Partition& p = part(partition);
  const auto [place, fresh] =
      p.seen.emplace(header.base_offset.value(), Seen{0, header.next_offset(), header.leader_epoch, header.max_timestamp});
  if (fresh) {
    transactions_.marker_seen(partition, bytes, header);
  } else if (place->second.number != 0 || place->second.epoch != header.leader_epoch) {
    violation(fmt::format("{}: offset {} showed batch {} of epoch {}, now a marker of epoch {}", p.name,
                          header.base_offset.value(), place->second.number, place->second.epoch.value(),
                          header.leader_epoch.value()));
  }
}

void History::observe(const model::TopicPartition& partition, bytes::Bytes bytes, const model::BatchHeader& header) {
  ++observed_batches_;
  if (header.is_control()) return observe_marker(partition, bytes, header);
  Partition& p = part(partition);
  const std::int64_t base = header.base_offset.value();
  const auto identified = p.by_identity.find(identity(bytes));
  if (identified == p.by_identity.end()) {
    violation(fmt::format("{}: nobody produced what was served at offset {} (producer {} epoch {} sequence {}, {} records)",
                          p.name, base, header.producer_id.value(), header.producer_epoch.value(), header.base_sequence.value(),
                          header.record_count));
    return;
  }
  ProducedBatch& batch = batches_.at(identified->second - 1);
  const auto [place, fresh] =
      p.seen.emplace(base, Seen{batch.number, header.next_offset(), header.leader_epoch, header.max_timestamp});
  if (!fresh) {
    const Seen& before = place->second;
    if (before.number != batch.number || before.epoch != header.leader_epoch || before.max_timestamp != header.max_timestamp) {
      violation(fmt::format("{}: offset {} showed batch {} of epoch {}, now batch {} of epoch {}", p.name, base, before.number,
                            before.epoch.value(), batch.number, header.leader_epoch.value()));
    }
  }
  if (!same_content(p, batch, bytes)) {
    violation(fmt::format("{}: batch {} at offset {} is not byte for byte what was produced", p.name, batch.number, base));
  }
  if (!fresh) return;
  check_place(p, batch, header.base_offset, header.next_offset(), "seen");
  if (batch.sends == 0) {
    violation(fmt::format("{}: batch {} is at offset {} although each attempt was refused", p.name, batch.number, base));
  }
  if (place != p.seen.begin() && std::prev(place)->second.epoch > header.leader_epoch) {
    violation(fmt::format("{}: the epoch goes back from {} to {} at offset {}", p.name, std::prev(place)->second.epoch.value(),
                          header.leader_epoch.value(), base));
  }
  if (p.rules.log_append_time) {
    const auto next = std::next(place);
    // A marker carries its coordinator's time.
    const auto judged = [](const Seen& neighbour) { return neighbour.number != 0; };
    const bool back = (place != p.seen.begin() && judged(std::prev(place)->second) &&
                       std::prev(place)->second.max_timestamp > header.max_timestamp) ||
                      (next != p.seen.end() && judged(next->second) && next->second.max_timestamp < header.max_timestamp);
    if (back) violation(fmt::format("{}: LogAppendTime goes back at offset {}", p.name, base));
  }
  batch.seen_at.insert(base);
  if (header.has_producer()) {
    if (batch.seen_at.size() > 1) {
      violation(fmt::format("{}: idempotent batch {} is at offsets {} and {}", p.name, batch.number, *batch.seen_at.begin(),
                            *batch.seen_at.rbegin()));
    }
    if (batch.acked_at && batch.acked_at->value() != base) {
      violation(
          fmt::format("{}: batch {} was acked at {} and stands at {}", p.name, batch.number, batch.acked_at->value(), base));
    }
    check_session_order(p, batch, header.base_offset);
  } else if (batch.sends > 0 && batch.seen_at.size() > batch.sends) {
    violation(fmt::format("{}: batch {} was sent {} times and stands there {} times", p.name, batch.number, batch.sends,
                          batch.seen_at.size()));
  }
}

model::Offset History::fetched(const model::TopicPartition& partition, const Known& before, const FetchAnswer& answer) {
  Partition& p = part(partition);
  if (p.deleted) return answer.fetch_offset;
  if (answer.high_watermark < before.high_watermark) {
    violation(fmt::format("{}: the high watermark went back from {} to {}", p.name, before.high_watermark.value(),
                          answer.high_watermark.value()));
  }
  if (answer.high_watermark < before.acked_end) {
    violation(fmt::format("{}: the high watermark {} is below what was acked before the request: {}", p.name,
                          answer.high_watermark.value(), before.acked_end.value()));
  }
  if (answer.last_stable_offset.value() >= 0 && answer.last_stable_offset > answer.high_watermark) {
    violation(fmt::format("{}: the last stable offset {} is above the high watermark {}", p.name,
                          answer.last_stable_offset.value(), answer.high_watermark.value()));
  }
  if (answer.log_start.value() >= 0) listed_earliest(partition, before, answer.log_start);
  if (answer.last_stable_offset.value() >= 0) {
    listed_stable(partition, before, answer.last_stable_offset, answer.log_start.value() >= 0);
  }
  p.known.high_watermark = std::max(p.known.high_watermark, answer.high_watermark);

  model::Offset next = answer.fetch_offset;
  bytes::Bytes rest = answer.records;
  bool first = true;
  while (!rest.empty()) {
    const auto header = model::peek_batch_header(rest);
    if (!header || header->size_bytes() > rest.size()) break;  // Kafka may cut the last batch; weir may too
    const auto checked = model::check_batch(rest);
    if (!checked) {
      violation(fmt::format("{}: a damaged batch was served near offset {}: {}", p.name, next.value(),
                            model::to_string(checked.error())));
      return next;
    }
    const bool contiguous =
        first ? checked->base_offset <= next && checked->next_offset() > next : checked->base_offset == next;
    if (!contiguous) {
      violation(fmt::format("{}: after {} comes the batch [{}, {})", p.name, next.value(), checked->base_offset.value(),
                            checked->next_offset().value()));
      return next;
    }
    if (checked->next_offset() > answer.high_watermark) {
      violation(fmt::format("{}: the batch [{}, {}) was served above the high watermark {}", p.name,
                            checked->base_offset.value(), checked->next_offset().value(), answer.high_watermark.value()));
    }
    observe(partition, rest.first(checked->size_bytes()), *checked);
    next = checked->next_offset();
    rest = rest.subspan(checked->size_bytes());
    first = false;
  }
  return next;
}

void History::offset_out_of_range(const model::TopicPartition& partition, const Known& before, model::Offset fetch_offset) {
  const Partition& p = part(partition);
  if (p.deleted || p.rules.retention_ms >= 0 || p.rules.retention_by_size) return;
  if (fetch_offset >= before.log_start && fetch_offset <= std::max(before.high_watermark, before.acked_end)) {
    violation(fmt::format("{}: offset {} is out of range although [{}, {}] was confirmed", p.name, fetch_offset.value(),
                          before.log_start.value(), before.high_watermark.value()));
  }
}

void History::listed_latest(const model::TopicPartition& partition, const Known& before, model::Offset latest) {
  Partition& p = part(partition);
  if (p.deleted) return;
  if (latest < std::max(before.high_watermark, before.acked_end)) {
    violation(fmt::format("{}: latest is {}, below what was confirmed before: {}", p.name, latest.value(),
                          std::max(before.high_watermark, before.acked_end).value()));
  }
  p.known.high_watermark = std::max(p.known.high_watermark, latest);
}

void History::listed_stable(const model::TopicPartition& partition, const Known& before, model::Offset last_stable,
                            bool states_log_start) {
  Partition& p = part(partition);
  if (p.deleted) return;
  const model::Offset owed = transactions_.stable(partition, before.last_stable, last_stable,
                                                  {.offset = p.known.log_start, .of_this_answer = states_log_start});
  p.known.log_start_owed = std::max(p.known.log_start_owed, owed);
  p.known.last_stable = std::max(p.known.last_stable, last_stable);
}

void History::listed_earliest(const model::TopicPartition& partition, const Known& before, model::Offset earliest) {
  Partition& p = part(partition);
  if (p.deleted) return;
  if (earliest < before.log_start) {
    violation(fmt::format("{}: log start went back from {} to {}", p.name, before.log_start.value(), earliest.value()));
  }
  if (earliest < before.log_start_owed) {
    violation(fmt::format("{}: the last stable offset passed an open transaction up to {}, but the log still starts at {}",
                          p.name, before.log_start_owed.value(), earliest.value()));
  }
  if (earliest > p.known.log_start) {
    const bool may_rise = p.rules.retention_ms >= 0 || p.rules.retention_by_size;
    if (!may_rise) violation(fmt::format("{}: log start rose to {} although nothing expires", p.name, earliest.value()));
    for (auto it = p.seen.begin(); it != p.seen.end() && it->second.end <= earliest; ++it) {
      if (it->first >= p.known.log_start.value() && !expired(p, it->second.max_timestamp)) {
        violation(fmt::format("{}: batch at offset {} was dropped before its time", p.name, it->first));
      }
    }
    p.known.log_start = earliest;
  }
}

// --- the end ---

void History::finish(const model::TopicPartition& partition, model::Offset log_start, model::Offset high_watermark) {
  Partition& p = part(partition);
  model::Offset next = log_start;
  for (auto it = p.seen.lower_bound(log_start.value()); it != p.seen.end() && it->first < high_watermark.value(); ++it) {
    if (it->first > next.value())
      violation(fmt::format("{}: nothing was read between {} and {}", p.name, next.value(), it->first));
    next = std::max(next, it->second.end);
  }
  if (next < high_watermark)
    violation(fmt::format("{}: nothing was read between {} and {}", p.name, next.value(), high_watermark.value()));
  for (const auto& [base, number] : p.acked) {
    if (base < log_start.value()) continue;
    const auto seen = p.seen.find(base);
    if (seen == p.seen.end() || seen->second.number != number) {
      violation(fmt::format("{}: batch {} was acked at offset {} and is not there", p.name, number, base));
    }
  }
  // A later sequence in the log means that every earlier one was accepted (or has expired).
  for (const auto& [key, session] : p.sessions) {
    const ProducedBatch* missing = nullptr;
    for (const auto& [sequence, number] : session) {
      const ProducedBatch& batch = batches_.at(number - 1);
      if (batch.seen_at.empty()) {
        if (missing == nullptr) missing = &batch;
      } else if (missing != nullptr && log_start.value() == p.rules.first_offset) {
        violation(fmt::format("{}: producer {} epoch {}: sequence {} is in the log without {}", p.name, key.first, key.second,
                              sequence, missing->header.base_sequence.value()));
        break;
      }
    }
  }
}

}  // namespace weir::sim

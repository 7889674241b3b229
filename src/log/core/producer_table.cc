#include "log/core/producer_table.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "base/ensure.h"

namespace weir::log {
namespace {

using Kind = ProducerVerdict::Kind;

bool follows(model::Sequence last, model::Sequence next) {
  return std::int64_t{next.value()} == std::int64_t{last.value()} + 1 ||
         (next.value() == 0 && last.value() == std::numeric_limits<std::int32_t>::max());
}

void push_batch(ProducerEntry& entry, const object::ProducerBatch& batch) {
  if (entry.batch_count == entry.batches.size()) {
    std::move(entry.batches.begin() + 1, entry.batches.end(), entry.batches.begin());
    --entry.batch_count;
  }
  entry.batches[entry.batch_count++] = batch;
  entry.expected = model::no_sequence;
  entry.may_be_old = false;
}

void take_epoch(ProducerEntry& entry, model::ProducerEpoch epoch) {
  if (entry.epoch == epoch) return;
  entry.epoch = epoch;
  entry.batch_count = 0;
  entry.expected = model::no_sequence;
  entry.may_be_old = false;
}

ProducerVerdict refuse(Kind kind, std::string message) { return {.kind = kind, .first = {}, .message = std::move(message)}; }

ProducerVerdict stale(const ProducerInput& batch, model::ProducerEpoch last_seen) {
  return refuse(Kind::stale_epoch, fmt::format("producer {} has epoch {}, the last seen is {}", batch.producer_id.value(),
                                               batch.epoch.value(), last_seen.value()));
}

// Transaction version 2 bumps the producer's epoch with each end of a transaction, so a marker of the epoch that is known is a
// late one, unless it repeats a marker that has ended the transaction already, or the epoch cannot be bumped any more.
bool is_late_marker(const ProducerEntry& entry, const ProducerInput& batch) {
  if (!batch.strict_epoch || batch.epoch != entry.epoch) return batch.epoch < entry.epoch;
  return entry.open_transaction_start.value() >= 0 && batch.epoch.value() != std::numeric_limits<std::int16_t>::max();
}

ProducerVerdict check_marker(const ProducerEntry& entry, const ProducerInput& batch) {
  if (is_late_marker(entry, batch)) return stale(batch, entry.epoch);
  if (entry.coordinator_epoch > batch.marker->coordinator_epoch) {
    return refuse(Kind::stale_coordinator, fmt::format("the marker's coordinator epoch {} is below the last seen {}",
                                                       batch.marker->coordinator_epoch, entry.coordinator_epoch));
  }
  return {};
}

ProducerVerdict overtakes(const ProducerEntry& entry, const ProducerInput& batch) {
  return refuse(Kind::out_of_order_sequence,
                fmt::format("producer {} sent sequence {}, but {} was not appended yet", batch.producer_id.value(),
                            batch.base_sequence.value(), entry.expected.value()));
}

ProducerVerdict check_sequence(const ProducerEntry& entry, const ProducerInput& batch) {
  // As of an unknown producer: anything, but nothing that overtakes what was refused.
  if (entry.may_be_old && (entry.expected.value() < 0 || batch.base_sequence <= entry.expected)) return {};
  if (entry.may_be_old) return overtakes(entry, batch);
  if (batch.epoch != entry.epoch) {
    if (batch.base_sequence.value() == 0) return {};
    return refuse(Kind::out_of_order_sequence,
                  fmt::format("producer {} begins epoch {} with sequence {}, not 0", batch.producer_id.value(),
                              batch.epoch.value(), batch.base_sequence.value()));
  }
  if (entry.batch_count == 0 && entry.expected.value() >= 0) {
    if (batch.base_sequence <= entry.expected) return {};
    return overtakes(entry, batch);
  }
  const model::Sequence last =
      entry.batch_count == 0 ? model::no_sequence : entry.batches[entry.batch_count - 1U].last_sequence;
  if (follows(last, batch.base_sequence)) return {};
  return refuse(Kind::out_of_order_sequence, fmt::format("producer {} sent sequence {} after {}", batch.producer_id.value(),
                                                         batch.base_sequence.value(), last.value()));
}

bool is_pinned(const ProducerEntry& entry) { return entry.open_transaction_start.value() >= 0 || entry.unconfirmed_count > 0; }

}  // namespace

ProducerInput producer_input(const model::BatchHeader& header, std::optional<model::EndMarker> marker, bool coordinator) {
  return {.producer_id = header.producer_id,
          .epoch = header.producer_epoch,
          .base_sequence = header.base_sequence,
          .last_sequence = header.last_sequence(),
          .transactional = header.is_transactional(),
          .marker = marker,
          .coordinator = coordinator};
}

bool ProducerTable::is_ongoing(model::ProducerId producer_id, model::ProducerEpoch epoch) const {
  const auto found = entries_.find(producer_id);
  return found != entries_.end() && found->second.epoch == epoch && found->second.open_transaction_start.value() >= 0;
}

std::uint64_t ProducerTable::begin_verification(const VerificationInput& input, std::uint64_t fresh_guard,
                                                base::WallMs now_ms) {
  const auto [at, fresh] = verifications_.try_emplace(input.producer_id);
  Verification& known = at->second;
  if (fresh) {
    known = {.guard = fresh_guard,
             .epoch = input.epoch,
             .lowest_sequence = input.base_sequence,
             .supports_epoch_bump = input.supports_epoch_bump,
             .begun_ms = now_ms};
  } else if (input.epoch > known.epoch) {
    known.epoch = input.epoch;
    known.lowest_sequence = input.base_sequence;
    known.had_begun = false;
  } else if (input.epoch == known.epoch) {
    known.lowest_sequence = std::min(known.lowest_sequence, input.base_sequence);
  }
  return known.guard;
}

// Nothing of a transaction is written that its coordinator does not know of: its marker would never come.
std::optional<ProducerVerdict> ProducerTable::check_verified(const ProducerInput& batch, const ProducerEntry* entry) const {
  if (!batch.transactional || batch.marker || is_ongoing(batch.producer_id, batch.epoch)) return std::nullopt;
  if (entry != nullptr && batch.epoch < entry->epoch) return stale(batch, entry->epoch);
  const auto verified = verifications_.find(batch.producer_id);
  if (verified != verifications_.end()) {
    const Verification& known = verified->second;
    if (batch.guard != 0 && known.guard == batch.guard) return std::nullopt;
    if (known.had_begun && known.epoch == batch.epoch) return std::nullopt;
  }
  return refuse(Kind::unverified,
                fmt::format("producer {} sent a batch that is not part of an ongoing transaction", batch.producer_id.value()));
}

ProducerVerdict ProducerTable::check_order(const ProducerInput& batch, const ProducerEntry* entry) const {
  if (const auto verified = verifications_.find(batch.producer_id); verified != verifications_.end()) {
    const bool knows_batches = entry != nullptr && (entry->batch_count > 0 || entry->expected.value() >= 0);
    if (verified->second.supports_epoch_bump && batch.base_sequence.value() != 0 && !knows_batches) {
      return refuse(Kind::out_of_order_sequence, fmt::format("producer {} is unknown here and begins with sequence {}, not 0",
                                                             batch.producer_id.value(), batch.base_sequence.value()));
    }
    if (batch.base_sequence > verified->second.lowest_sequence) {
      return refuse(Kind::out_of_order_sequence,
                    fmt::format("producer {} sent sequence {} while {} waits for its verification", batch.producer_id.value(),
                                batch.base_sequence.value(), verified->second.lowest_sequence.value()));
    }
  }
  return entry == nullptr ? ProducerVerdict{} : check_sequence(*entry, batch);
}

ProducerVerdict ProducerTable::check(const ProducerInput& batch) const {
  const auto found = entries_.find(batch.producer_id);
  const ProducerEntry* entry = found == entries_.end() ? nullptr : &found->second;
  const bool judged_by_sequence = !batch.marker && !batch.coordinator;
  if (entry != nullptr && judged_by_sequence && batch.epoch == entry->epoch) {
    for (std::size_t i = 0; i < entry->batch_count; ++i) {
      const object::ProducerBatch& known = entry->batches[i];
      if (known.base_sequence == batch.base_sequence && known.last_sequence == batch.last_sequence) {
        return {.kind = Kind::duplicate, .first = known, .message = {}};
      }
    }
  }
  if (auto refused = check_verified(batch, entry)) return std::move(*refused);
  if (batch.marker) return entry == nullptr ? ProducerVerdict{} : check_marker(*entry, batch);
  if (entry != nullptr && batch.epoch < entry->epoch) return stale(batch, entry->epoch);
  if (judged_by_sequence) {
    ProducerVerdict verdict = check_order(batch, entry);
    if (verdict.kind != Kind::accept) return verdict;
  }
  if (entry != nullptr && entry->open_transaction_start.value() >= 0 && !batch.transactional) {
    return refuse(Kind::wrong_transaction_state,
                  fmt::format("producer {} has an open transaction and sent a batch outside it", batch.producer_id.value()));
  }
  return {};
}

// What was written decides: the transaction is ongoing, or has ended and a batch that was on its way comes too late. A marker that
// is repeated in the epoch that its first writing began does not end the verification of that epoch's next transaction.
void ProducerTable::end_verification(const ProducerInput& batch) {
  const auto found = verifications_.find(batch.producer_id);
  if (found == verifications_.end()) return;
  const Verification& known = found->second;
  if (batch.marker && known.supports_epoch_bump && batch.epoch == known.epoch) return;
  verifications_.erase(found);
}

ProducerTable::Effect ProducerTable::apply(const ProducerInput& batch, model::Offset base, model::Offset last,
                                           base::WallMs max_timestamp, Undo* undo) {
  const auto [at, fresh] = entries_.try_emplace(batch.producer_id);
  ProducerEntry& entry = at->second;
  if (undo != nullptr) {
    *undo = {.producer_id = batch.producer_id,
             .existed = !fresh,
             .epoch = batch.epoch,
             .base_sequence = batch.base_sequence,
             .before = entry};
  }
  Effect effect;
  take_epoch(entry, batch.epoch);
  entry.last_timestamp = max_timestamp;
  entry.last_offset = last;
  if (batch.marker) {
    effect.ended = entry.open_transaction_start;
    entry.open_transaction_start = model::Offset(-1);
    entry.coordinator_epoch = batch.marker->coordinator_epoch;
  } else {
    push_batch(entry, {.base_sequence = batch.base_sequence,
                       .last_sequence = batch.last_sequence,
                       .base_offset = base,
                       .last_offset = last,
                       .max_timestamp = max_timestamp});
    if (batch.transactional && entry.open_transaction_start.value() < 0) {
      entry.open_transaction_start = base;
      effect.began = base;
      const auto verified = verifications_.find(batch.producer_id);
      if (undo != nullptr && verified != verifications_.end()) undo->verification = verified->second;
    }
  }
  if (batch.transactional) end_verification(batch);
  if (undo != nullptr) ++entry.unconfirmed_count;
  return effect;
}

void ProducerTable::confirmed(model::ProducerId producer_id) {
  const auto found = entries_.find(producer_id);
  ENSURE(found != entries_.end() && found->second.unconfirmed_count > 0, "producer {} has nothing unconfirmed",
         producer_id.value());
  --found->second.unconfirmed_count;
}

void ProducerTable::take_back(const Undo& undo) {
  if (undo.verification) {
    Verification& known = verifications_.try_emplace(undo.producer_id, *undo.verification).first->second;
    if (known.epoch == undo.verification->epoch) {
      known.lowest_sequence = std::min(known.lowest_sequence, undo.verification->lowest_sequence);
      known.had_begun = true;
    }
  }
  if (!undo.existed) {
    ProducerEntry& fresh = entries_.at(undo.producer_id);
    if (undo.base_sequence.value() < 0) {
      entries_.erase(undo.producer_id);
    } else {
      fresh = {.epoch = undo.epoch, .last_timestamp = fresh.last_timestamp, .expected = undo.base_sequence};
    }
    return;
  }
  // Batches confirmed since then have lowered the count; what is taken back is the newest unconfirmed one.
  ProducerEntry& entry = entries_.at(undo.producer_id);
  const std::uint32_t unconfirmed = entry.unconfirmed_count - 1;
  const model::Offset stated_to = entry.stated_to;  // an object committed since then stays
  entry = undo.before;
  entry.unconfirmed_count = unconfirmed;
  entry.stated_to = stated_to;
  if (entry.may_be_old && undo.base_sequence.value() >= 0) entry.expect(undo.base_sequence);
}

void ProducerTable::expect(const ProducerInput& batch, base::WallMs max_timestamp) {
  if (batch.marker || batch.coordinator || batch.base_sequence.value() < 0) return;
  const auto [at, fresh] = entries_.try_emplace(batch.producer_id);
  ProducerEntry& entry = at->second;
  if (fresh) {
    entry = {.epoch = batch.epoch, .last_timestamp = max_timestamp, .expected = batch.base_sequence};
  } else if (entry.may_be_old || (entry.epoch == batch.epoch && entry.batch_count == 0 && entry.expected.value() >= 0)) {
    entry.expect(batch.base_sequence);
  }
}

void ProducerTable::merge(const object::ProducerDelta& delta, base::WallMs entry_timestamp, model::Offset entry_end) {
  ProducerEntry& entry = entries_[delta.producer_id];
  // A batch may have been refused before the objects were read. What is known for sure judges what follows it; what may be old does not.
  const model::Sequence refused = entry.epoch == delta.epoch || !delta.batches.empty() ? entry.expected : model::no_sequence;
  take_epoch(entry, delta.epoch);
  entry.last_offset = entry_end - 1;
  entry.stated_to = entry_end;
  for (const object::ProducerBatch& batch : delta.batches) {
    // A restated batch may be known already.
    if (entry.batch_count > 0 && batch.base_offset <= entry.batches[entry.batch_count - 1U].base_offset) continue;
    push_batch(entry, batch);
    entry.last_timestamp = batch.max_timestamp;
  }
  entry.expected = refused;
  if (delta.batches.empty()) entry.last_timestamp = std::max(entry.last_timestamp, entry_timestamp);
  entry.open_transaction_start = delta.open_transaction_start;
  entry.coordinator_epoch = std::max(entry.coordinator_epoch, delta.coordinator_epoch);
}

void ProducerTable::doubt_below(model::Offset log_start) {
  for (auto& [id, entry] : entries_) {
    const bool stated_below = entry.stated_to.value() >= 0 && entry.stated_to <= log_start;
    entry.may_be_old = stated_below && entry.coordinator_epoch < 0;
  }
}

void ProducerTable::stated(model::ProducerId producer_id, model::Offset entry_end) {
  const auto found = entries_.find(producer_id);
  if (found != entries_.end()) found->second.stated_to = entry_end;
}

void ProducerTable::restated(model::ProducerId producer_id, model::Offset base, model::Offset end) {
  const auto found = entries_.find(producer_id);
  if (found == entries_.end()) return;
  ProducerEntry& entry = found->second;
  if (entry.stated_to > base && entry.stated_to < end) entry.stated_to = end;
}

std::vector<ProducerTable::Restated> ProducerTable::to_restate(model::Offset log_start, model::Offset from) const {
  std::vector<Restated> deltas;
  if (log_start.value() == 0) return deltas;
  for (const auto& [id, entry] : entries_) {
    if (entry.stated_to > log_start || entry.last_offset.value() < 0 || entry.may_be_old) continue;
    object::ProducerDelta delta{.producer_id = id,
                                .epoch = entry.epoch,
                                .batches = {entry.batches.begin(), entry.batches.begin() + entry.batch_count},
                                .coordinator_epoch = entry.coordinator_epoch};
    deltas.push_back({.delta = std::move(delta), .has_records = entry.last_offset >= from});
  }
  return deltas;
}

std::set<model::Offset> ProducerTable::statements_below(model::Offset log_start) const {
  std::set<model::Offset> ends;
  for (const auto& [id, entry] : entries_) {
    if (entry.coordinator_epoch < 0) continue;
    if (entry.stated_to.value() >= 0 && entry.stated_to <= log_start) ends.insert(entry.stated_to);
  }
  return ends;
}

std::size_t ProducerTable::expire(base::WallMs now_ms, std::int64_t expiration_ms) {
  std::erase_if(verifications_, [&](const auto& item) { return now_ms - item.second.begun_ms >= expiration_ms; });
  return std::erase_if(entries_, [&](const auto& item) {
    return !is_pinned(item.second) && now_ms - item.second.last_timestamp >= expiration_ms;
  });
}

std::size_t ProducerTable::make_room(std::size_t producers_max) {
  if (entries_.size() < producers_max) return 0;
  std::vector<base::WallMs> ages;
  ages.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) {
    if (!is_pinned(entry)) ages.push_back(entry.last_timestamp);
  }
  if (ages.empty()) return 0;
  constexpr std::size_t share = 8;
  const auto nth = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / share);
  std::nth_element(ages.begin(), nth, ages.end());
  const base::WallMs limit = *nth;
  std::size_t left = ages.size() / share + 1;
  return std::erase_if(entries_, [&](const auto& item) {
    const ProducerEntry& entry = item.second;
    if (left == 0 || is_pinned(entry) || entry.last_timestamp > limit) return false;
    --left;
    return true;
  });
}

}  // namespace weir::log

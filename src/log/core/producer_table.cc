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
}

void take_epoch(ProducerEntry& entry, model::ProducerEpoch epoch) {
  if (entry.epoch == epoch) return;
  entry.epoch = epoch;
  entry.batch_count = 0;
  entry.expected = model::no_sequence;
}

ProducerVerdict refuse(Kind kind, std::string message) { return {.kind = kind, .first = {}, .message = std::move(message)}; }

ProducerVerdict check_marker(const ProducerEntry& entry, const ProducerInput& batch) {
  if (entry.coordinator_epoch > batch.marker->coordinator_epoch) {
    return refuse(Kind::stale_coordinator, fmt::format("the marker's coordinator epoch {} is below the last seen {}",
                                                       batch.marker->coordinator_epoch, entry.coordinator_epoch));
  }
  return {};
}

ProducerVerdict check_sequence(const ProducerEntry& entry, const ProducerInput& batch) {
  if (batch.epoch != entry.epoch) {
    if (batch.base_sequence.value() == 0) return {};
    return refuse(Kind::out_of_order_sequence,
                  fmt::format("producer {} begins epoch {} with sequence {}, not 0", batch.producer_id.value(),
                              batch.epoch.value(), batch.base_sequence.value()));
  }
  if (entry.batch_count == 0 && entry.expected.value() >= 0) {
    if (batch.base_sequence <= entry.expected) return {};
    return refuse(Kind::out_of_order_sequence,
                  fmt::format("producer {} sent sequence {}, but {} was not appended yet", batch.producer_id.value(),
                              batch.base_sequence.value(), entry.expected.value()));
  }
  const model::Sequence last =
      entry.batch_count == 0 ? model::no_sequence : entry.batches[entry.batch_count - 1U].last_sequence;
  if (follows(last, batch.base_sequence)) return {};
  return refuse(Kind::out_of_order_sequence, fmt::format("producer {} sent sequence {} after {}", batch.producer_id.value(),
                                                         batch.base_sequence.value(), last.value()));
}

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

ProducerVerdict ProducerTable::check(const ProducerInput& batch) const {
  const auto found = entries_.find(batch.producer_id);
  if (found == entries_.end()) return {};
  const ProducerEntry& entry = found->second;
  if (!batch.marker && !batch.coordinator && batch.epoch == entry.epoch) {
    for (std::size_t i = 0; i < entry.batch_count; ++i) {
      const object::ProducerBatch& known = entry.batches[i];
      if (known.base_sequence == batch.base_sequence && known.last_sequence == batch.last_sequence) {
        return {.kind = Kind::duplicate, .first = known, .message = {}};
      }
    }
  }
  if (batch.epoch < entry.epoch) {
    return refuse(Kind::stale_epoch, fmt::format("producer {} has epoch {}, the last seen is {}", batch.producer_id.value(),
                                                 batch.epoch.value(), entry.epoch.value()));
  }
  if (batch.marker) return check_marker(entry, batch);
  if (!batch.coordinator) {
    ProducerVerdict verdict = check_sequence(entry, batch);
    if (verdict.kind != Kind::accept) return verdict;
  }
  if (entry.open_transaction_start.value() >= 0 && !batch.transactional) {
    return refuse(Kind::wrong_transaction_state,
                  fmt::format("producer {} has an open transaction and sent a batch outside it", batch.producer_id.value()));
  }
  return {};
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
    }
  }
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
  entry = undo.before;
  entry.unconfirmed_count = unconfirmed;
}

void ProducerTable::expect(const ProducerInput& batch, base::WallMs max_timestamp) {
  if (batch.marker || batch.coordinator || batch.base_sequence.value() < 0) return;
  const auto [at, fresh] = entries_.try_emplace(batch.producer_id);
  ProducerEntry& entry = at->second;
  if (fresh) {
    entry = {.epoch = batch.epoch, .last_timestamp = max_timestamp, .expected = batch.base_sequence};
  } else if (entry.epoch == batch.epoch && entry.batch_count == 0 && entry.expected.value() >= 0) {
    entry.expected = std::min(entry.expected, batch.base_sequence);
  }
}

void ProducerTable::merge(const object::ProducerDelta& delta) {
  ProducerEntry& entry = entries_[delta.producer_id];
  take_epoch(entry, delta.epoch);
  for (const object::ProducerBatch& batch : delta.batches) {
    push_batch(entry, batch);
    entry.last_timestamp = batch.max_timestamp;
  }
  entry.open_transaction_start = delta.open_transaction_start;
  entry.coordinator_epoch = std::max(entry.coordinator_epoch, delta.coordinator_epoch);
}

std::size_t ProducerTable::expire(base::WallMs now_ms, std::int64_t expiration_ms) {
  return std::erase_if(entries_, [&](const auto& item) {
    const ProducerEntry& entry = item.second;
    return entry.open_transaction_start.value() < 0 && entry.unconfirmed_count == 0 &&
           now_ms - entry.last_timestamp > expiration_ms;
  });
}

std::size_t ProducerTable::make_room(std::size_t producers_max) {
  if (entries_.size() < producers_max) return 0;
  std::vector<base::WallMs> ages;
  ages.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) {
    if (entry.open_transaction_start.value() < 0 && entry.unconfirmed_count == 0) ages.push_back(entry.last_timestamp);
  }
  if (ages.empty()) return 0;
  constexpr std::size_t share = 8;
  const auto nth = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / share);
  std::nth_element(ages.begin(), nth, ages.end());
  const base::WallMs limit = *nth;
  std::size_t left = ages.size() / share + 1;
  return std::erase_if(entries_, [&](const auto& item) {
    const ProducerEntry& entry = item.second;
    if (left == 0 || entry.open_transaction_start.value() >= 0 || entry.unconfirmed_count > 0 || entry.last_timestamp > limit)
      return false;
    --left;
    return true;
  });
}

}  // namespace weir::log

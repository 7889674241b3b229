#include "keyspace/core/map_state.h"

#include <set>
#include <utility>

#include "base/ensure.h"

namespace weir::keyspace::core {
namespace {

std::size_t bytes_of(const Applied& applied) {
  std::size_t sum = 0;
  for (const WatchEvent& event : applied.events) sum += event.entry.key.size() + event.entry.value.size();
  return sum;
}

}  // namespace

void ensure_within_limits(const Txn& txn) {
  ENSURE(txn.compares.size() + txn.operations.size() <= txn_operations_max, "a txn of {} compares and {} operations",
         txn.compares.size(), txn.operations.size());
  std::set<std::string_view> keys;
  for (const Operation& operation : txn.operations) {
    ENSURE(!operation.key.empty() && operation.key.size() <= key_bytes_max, "a key of {} bytes", operation.key.size());
    ENSURE(operation.value.size() <= value_bytes_max, "a value of {} bytes", operation.value.size());
    ENSURE(keys.insert(operation.key).second, "a key occurs twice in one txn: {}", operation.key);
  }
}

Revision MapState::Batch::mod_revision(std::string_view key) const {
  if (const auto staged = overlay_.find(key); staged != overlay_.end()) {
    return staged->second ? staged->second->mod_revision : 0;
  }
  const auto found = base_->entries_.find(key);
  return found == base_->entries_.end() ? 0 : found->second.mod_revision;
}

TxnResult MapState::Batch::judge(const Txn& txn) {
  ensure_within_limits(txn);
  ENSURE(begun_at_ == base_->revision_, "the batch began at revision {}, the state is at {}", begun_at_, base_->revision_);
  for (const Compare& compare : txn.compares) {
    if (mod_revision(compare.key) != compare.mod_revision) return {.succeeded = false, .revision = revision_};
  }
  auto applied = std::make_shared<Applied>();
  applied->revision = revision_ + 1;
  for (const Operation& operation : txn.operations) {
    const bool erase = operation.kind == Operation::Kind::erase;
    if (erase && mod_revision(operation.key) == 0) continue;  // nothing to erase: no event
    applied->events.push_back(
        {.entry = {.key = operation.key, .value = erase ? std::string() : operation.value, .mod_revision = applied->revision},
         .erased = erase});
    if (erase) {
      overlay_.insert_or_assign(operation.key, std::nullopt);
    } else {
      overlay_.insert_or_assign(operation.key, Entry{.value = operation.value, .mod_revision = applied->revision});
    }
  }
  if (applied->events.empty()) return {.succeeded = true, .revision = revision_};
  revision_ = applied->revision;
  applied_.push_back(std::move(applied));
  return {.succeeded = true, .revision = revision_};
}

std::vector<std::shared_ptr<const Applied>> MapState::apply(Batch batch) {
  ENSURE(batch.base_ == this && batch.begun_at_ == revision_, "a batch begun at revision {} is applied at {}", batch.begun_at_,
         revision_);
  for (auto& [key, entry] : batch.overlay_) {
    if (entry) {
      entries_.insert_or_assign(key, std::move(*entry));
    } else {
      entries_.erase(key);
    }
  }
  revision_ = batch.revision_;
  for (const auto& applied : batch.applied_) remember(applied);
  return std::move(batch.applied_);
}

RangeResult MapState::range(std::string_view from, std::string_view to, std::size_t limit) const {
  ENSURE(limit >= 1 && limit <= range_page_max, "a page of {} entries", limit);
  RangeResult result;
  result.revision = revision_;
  for (auto at = entries_.lower_bound(from); at != entries_.end(); ++at) {
    if (!to.empty() && at->first >= to) break;
    if (result.entries.size() == limit) {
      result.more = true;
      break;
    }
    result.entries.push_back({.key = at->first, .value = at->second.value, .mod_revision = at->second.mod_revision});
  }
  return result;
}

void MapState::remember(std::shared_ptr<const Applied> applied) {
  history_events_ += applied->events.size();
  history_bytes_ += bytes_of(*applied);
  history_.push_back(std::move(applied));
  while (history_events_ > history_events_max || history_bytes_ > history_bytes_max) forget_oldest();
}

void MapState::forget_oldest() {
  const std::shared_ptr<const Applied> oldest = std::move(history_.front());
  history_.pop_front();
  history_events_ -= oldest->events.size();
  history_bytes_ -= bytes_of(*oldest);
  compacted_to_ = oldest->revision;
}

void MapState::compact(Revision revision) {
  while (!history_.empty() && history_.front()->revision <= revision) forget_oldest();
}

}  // namespace weir::keyspace::core

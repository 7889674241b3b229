// Offsets: commits, deletion, expiry (as KIP-211), and the end of a group.
#include <algorithm>

#include "base/ensure.h"
#include "groups/core/machine.h"
#include "groups/core/records.h"

namespace weir::groups {
namespace {

// The length of a string as Kafka counts it: in UTF-16 units.
std::size_t java_length(std::string_view text) {
  std::size_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    units += (byte & 0xC0U) == 0x80U ? 0 : (byte >= 0xF0U ? 2 : 1);
  }
  return units;
}

}  // namespace

Errc Machine::check_commit(const Commit& event) const {
  if (g_.state == State::dead) return rule(Request::commit, State::dead).error;
  // Administrators and consumers that assign their partitions themselves have no generation; the group must have no members.
  if (event.generation < 0 && g_.state == State::empty) return Errc::none;
  if (event.generation < 0 && event.member_id.empty() && !event.instance_id) return Errc::unknown_member_id;
  if (const Errc error = check_member(event.member_id, event.instance_id); error != Errc::none) return error;
  if (event.generation != g_.generation) return Errc::illegal_generation;
  return rule(Request::commit, g_.state).error;
}

void Machine::on(const Commit& event) {
  if (const Errc error = check_commit(event); error != Errc::none) {
    answer(event.ticket, ListAnswer{.error = error});
    return;
  }
  // A commit shows that the member lives.
  if (const auto member = g_.members.find(event.member_id); member != g_.members.end()) renew_session(member->second);
  PendingWrite pending{.kind = PendingWrite::Kind::commit, .ticket = event.ticket};
  std::vector<Record> records;
  for (const Commit::Item& item : event.items) {
    if (java_length(item.metadata) > limits_.metadata_length_max) {
      pending.partitions.push_back(Errc::offset_metadata_too_large);
      continue;
    }
    StoredOffset offset{.offset = item.offset,
                        .leader_epoch = item.leader_epoch,
                        .metadata = item.metadata,
                        .commit_ms = now_.wall,
                        .expire_ms = std::nullopt,
                        .topic_id = {}};
    if (event.retention_ms >= 0) offset.expire_ms = now_.wall + event.retention_ms;
    records.push_back({.key = offset_key(g_.id, item.at), .value = offset_value(offset)});
    pending.partitions.push_back(Errc::none);
  }
  if (records.empty()) {
    answer(event.ticket, ListAnswer{.error = Errc::none, .each = std::move(pending.partitions)});
    return;
  }
  begin_write(std::move(pending), std::move(records));
}

// The partition holds this back until no write of the group is under way: a tombstone must not overtake a commit.
void Machine::on(const RemoveOffsets& event) {
  ENSURE(g_.writes.empty(), "group {} loses offsets while some are on their way", g_.id);
  const auto refuse = [&](Errc error) { answer(event.ticket, ListAnswer{.error = error}); };
  if (g_.state == State::dead) return refuse(Errc::group_id_not_found);
  if (g_.state != State::empty && g_.protocol_type != "consumer") return refuse(Errc::non_empty_group);
  std::vector<Errc> judged;
  std::vector<TopicIndex> wanted;
  for (const TopicIndex& at : event.offsets) {
    const bool used = g_.is_subscribed_to(at.topic);
    judged.push_back(used ? Errc::subscribed_to_topic : Errc::none);
    if (!used && stored_ != nullptr && stored_->offsets.contains(at)) wanted.push_back(at);
  }
  remove_offsets_now(event.ticket, std::move(judged), wanted);
}

void Machine::remove_offsets_now(Ticket ticket, std::vector<Errc> judged, const std::vector<TopicIndex>& offsets) {
  if (offsets.empty()) {
    answer(ticket, ListAnswer{.error = Errc::none, .each = std::move(judged)});
    return;
  }
  std::vector<Record> records;
  for (const TopicIndex& at : offsets) records.push_back({.key = offset_key(g_.id, at), .value = std::nullopt});
  begin_write({.kind = PendingWrite::Kind::offsets_removed, .ticket = ticket, .partitions = std::move(judged)},
              std::move(records));
}

void Machine::on(const Remove& event) {
  ENSURE(g_.writes.empty(), "group {} is removed while a write is under way", g_.id);
  if (g_.state == State::empty) return remove_group(event.ticket);
  answer(event.ticket, PlainAnswer{.error = g_.state == State::dead ? Errc::group_id_not_found : Errc::non_empty_group});
}

void Machine::remove_group(Ticket ticket) {
  move(Cause::removal_begins);
  g_.pending_joins.clear();
  std::vector<Record> records;
  if (stored_ != nullptr) {
    for (const auto& [at, offset] : stored_->offsets) records.push_back({.key = offset_key(g_.id, at), .value = std::nullopt});
    for (const auto& [producer, pending] : stored_->pending) {
      for (const auto& [at, offset] : pending) {
        if (!stored_->offsets.contains(at)) records.push_back({.key = offset_key(g_.id, at), .value = std::nullopt});
      }
    }
    if (stored_->metadata) records.push_back({.key = group_key(g_.id), .value = std::nullopt});
  }
  if (records.empty()) {
    answer(ticket, PlainAnswer{});
    return;
  }
  begin_write({.kind = PendingWrite::Kind::removal, .ticket = ticket}, std::move(records));
}

// From when an offset's retention counts; empty: not at all now.
std::optional<base::WallMs> Machine::expiry_base(const std::string& topic, const StoredOffset& offset) const {
  if (g_.simple()) return offset.commit_ms;
  if (g_.state == State::empty) return g_.state_since > 0 ? g_.state_since : offset.commit_ms;
  if (g_.protocol_type == "consumer" && g_.subscribed && g_.state == State::stable && !g_.subscribed->contains(topic)) {
    return offset.commit_ms;
  }
  return std::nullopt;
}

void Machine::on(const Expire& /*event*/) {
  if (g_.state == State::dead || !g_.writes.empty()) return;  // the next check comes
  std::vector<TopicIndex> expired;
  std::size_t left = 0;
  if (stored_ != nullptr) {
    left = stored_->pending.size();
    for (const auto& [at, offset] : stored_->offsets) {
      const std::optional<base::WallMs> since = expiry_base(at.topic, offset);
      const bool over =
          since && !stored_->has_pending(at) &&
          (offset.expire_ms ? now_.wall >= *offset.expire_ms : now_.wall - *since >= limits_.offsets_retention_ms);
      if (over) {
        expired.push_back(at);
      } else {
        ++left;
      }
    }
  }
  if (left == 0 && g_.state == State::empty && g_.pending_joins.empty()) return remove_group(0);
  if (!expired.empty()) remove_offsets_now(0, {}, expired);
}

void Machine::on(const TopicDeleted& event) {
  ENSURE(g_.writes.empty(), "group {} loses a topic's offsets while some are on their way", g_.id);
  if (g_.state == State::dead || stored_ == nullptr) return;
  std::vector<TopicIndex> gone;
  const TopicIndex first{.topic = event.topic, .partition = model::PartitionIndex(INT32_MIN)};
  for (auto at = stored_->offsets.lower_bound(first); at != stored_->offsets.end() && at->first.topic == event.topic; ++at) {
    gone.push_back(at->first);
  }
  if (!gone.empty()) remove_offsets_now(0, {}, gone);
}

}  // namespace weir::groups

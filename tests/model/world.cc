#include "world.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"

namespace weir::model_test {
namespace {

constexpr std::uint32_t group_bytes = 4096;

model::TopicPartition tp(std::uint8_t p) { return {.topic = {}, .partition = model::PartitionIndex(p)}; }
model::Offset off(std::uint8_t offset) { return model::Offset(offset); }
Fate fate_at(std::uint32_t fates, std::size_t i) { return static_cast<Fate>(fates >> (2 * i) & 3U); }

}  // namespace

World::Seen World::seen;

World::World(const Limits& limits) : limits_(limits) {
  for (Partition& part : parts_) part.history_epoch[0] = 1;  // own/P of a new partition: epoch 1 from offset 0
  for (auto& session : cells_) session.fill(Cell{});
  for (std::uint8_t i = 0; i < limits_.own_segments; ++i) book_.add(true);
}

// --- what may come next ---

bool World::has_unstated() const {
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    const Partition& part = parts_[p];
    if (!part.quarantined && part.hw > part.stated && part.hw > part.uploaded) return true;
  }
  return false;
}

std::vector<Step> World::enabled() const {
  std::vector<Step> steps;
  const std::size_t under_way = inflight_.size();
  if (group_count_ < limits_.groups && attempt_count_ < groups_max && under_way < limits_.inflight) {
    for (std::uint8_t mask = 1; mask < (1U << limits_.partitions); ++mask) {
      bool may = values_ + (mask == 3 ? 2 : 1) <= limits_.records;
      for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
        if ((mask >> p & 1U) != 0) may = may && !parts_[p].quarantined && parts_[p].next < offsets_max - 1;
      }
      if (may) steps.push_back({.kind = StepKind::append, .a = mask});
    }
    if (under_way == 0 && has_unstated()) steps.push_back({.kind = StepKind::control});
  }
  for (std::uint8_t i = 0; i < under_way; ++i) {
    if (inflight_[i].failed) {
      if (attempt_count_ < groups_max && inflight_[i].copies.size() < 2) steps.push_back({.kind = StepKind::reappend, .a = i});
      steps.push_back({.kind = StepKind::give_up, .a = i});
      continue;
    }
    steps.push_back({.kind = StepKind::complete, .a = i});
    if (errors_ >= limits_.errors) continue;
    for (std::uint8_t fate = 0; fate < 3; ++fate) steps.push_back({.kind = StepKind::fail, .a = i, .b = fate});
  }
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    if (parts_[p].hw > parts_[p].uploaded && !parts_[p].quarantined) steps.push_back({.kind = StepKind::upload, .a = p});
  }
  for (std::uint8_t h = 0; h < book_.size(); ++h) {
    if (book_.retirable(h)) steps.push_back({.kind = StepKind::retire, .a = h});
  }
  for (std::uint8_t i = 0; i < ghosts_.size(); ++i) steps.push_back({.kind = StepKind::late_landing, .a = i});
  each_crash(steps);
  if (rots_ < limits_.rots) {
    for (std::uint8_t s = 0; s <= session_; ++s) {
      for (std::uint8_t i = 0; i < limits_.own_segments; ++i) {
        const Cell& c = cells_[s][i];
        if (!c.retired && visible(c) < garbage) steps.push_back({.kind = StepKind::rot, .a = s, .b = i});
      }
    }
  }
  return steps;
}

void World::each_crash(std::vector<Step>& steps) const {
  if (crashes_ >= limits_.crashes) return;
  // Every combination of fates: writes in flight and late ones first, then volatile cells (a power loss only).
  const auto combine = [&](StepKind kind, std::size_t choices) {
    std::uint32_t combinations = 1;
    for (std::size_t i = 0; i < choices; ++i) combinations *= 3;
    for (std::uint32_t n = 0; n < combinations; ++n) {
      std::uint32_t fates = 0;
      std::uint32_t rest = n;
      for (std::size_t i = 0; i < choices; ++i, rest /= 3) fates |= (rest % 3) << (2 * i);
      steps.push_back({.kind = kind, .fates = fates});
    }
  };
  std::size_t writes = 0;
  for (const InFlight& write : inflight_) writes += write.failed ? 0U : 1U;
  std::size_t cached = 0;
  for (std::uint8_t s = 0; s <= session_; ++s) {
    for (std::uint8_t i = 0; i < limits_.own_segments; ++i) cached += cells_[s][i].cached != none ? 1U : 0U;
  }
  combine(StepKind::kill, writes);
  if (writes + ghosts_.size() + cached > 0)
    combine(StepKind::power_loss, std::min<std::size_t>(writes + ghosts_.size() + cached, 5));
}

std::optional<std::string> World::apply(const Step& step) {
  switch (step.kind) {
    case StepKind::append: return append(step.a);
    case StepKind::control: control(); return std::nullopt;
    case StepKind::complete: return complete(step.a);
    case StepKind::fail: fail(step.a, static_cast<Fate>(step.b)); return std::nullopt;
    case StepKind::reappend: reappend(step.a); return std::nullopt;
    case StepKind::give_up: give_up(step.a); return std::nullopt;
    case StepKind::upload: upload(step.a); return std::nullopt;
    case StepKind::retire: retire(step.a); return std::nullopt;
    case StepKind::late_landing: {
      const std::uint8_t attempt = ghosts_[step.a];
      ghosts_.erase(ghosts_.begin() + step.a);
      cell(attempts_[attempt]).cached = attempt;
      return std::nullopt;
    }
    case StepKind::kill: return crash(false, step.fates);
    case StepKind::power_loss: return crash(true, step.fates);
    case StepKind::rot: {
      ++rots_;
      Cell& c = cells_[step.a][step.b];
      rotten_group_ = attempts_[visible(c)].group;
      c = {.media = garbage, .cached = none, .retired = false};
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// --- the broker's steps ---

void World::open_epoch(std::uint8_t p) {
  Partition& part = parts_[p];
  part.open = true;
  const Mutation m = limits_.mutation;
  if (m == Mutation::no_epoch_bump || (m == Mutation::bump_only_if_stale && !part.stale_seen)) return;
  part.history_epoch[part.history_count] = static_cast<std::uint8_t>(part.epoch() + 1);
  part.history_start[part.history_count] = part.next;
  ++part.history_count;
  part.stated = std::max(part.stated, part.next);
  release_where(p, 0, true);
}

void World::state_hws(Group& group) const {
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    const Partition& part = parts_[p];
    const std::uint8_t hw = limits_.mutation == Mutation::predecessor_as_witness ? part.next : part.hw;
    if (!part.quarantined && hw > part.stated && hw > part.uploaded) group.stated[p] = hw;
  }
}

bool World::submit(std::uint8_t group, std::vector<std::uint8_t> copies) {
  const auto spot = book_.place(group_bytes, groups_[group].record_count);
  if (!spot) return false;
  const Attempt attempt{.group = group,
                        .lsn = next_lsn_++,
                        .session = session_,
                        .segment = static_cast<std::uint8_t>(spot->segment - session_ * limits_.own_segments)};
  if (visible(cell(attempt)) != none) ++seen.reuses;
  attempts_[attempt_count_] = attempt;
  inflight_.push_back({.attempt = attempt, .attempt_index = attempt_count_, .failed = false, .copies = std::move(copies)});
  ++attempt_count_;
  return true;
}

std::optional<std::string> World::append(std::uint8_t mask) {
  World before = *this;
  Group group;
  state_hws(group);
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    if ((mask >> p & 1U) == 0) continue;
    Partition& part = parts_[p];
    if (!part.open) open_epoch(p);
    const std::uint8_t value = values_++;
    group.records[group.record_count++] = {.partition = p, .epoch = part.epoch(), .offset = part.next, .value = value};
    part.pending[part.pending_count++] = {.offset = part.next, .value = value, .durable = false};
    ++part.next;
  }
  groups_[group_count_] = group;
  if (!submit(group_count_, {})) {
    *this = std::move(before);  // the WAL is full: not admitted
    return std::nullopt;
  }
  ++group_count_;
  if (limits_.mutation == Mutation::confirm_before_completion) {
    for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
      for (Pending& pending : parts_[p].pending) pending.durable = true;
      if (auto broken = confirm(p)) return broken;
    }
  }
  return std::nullopt;
}

void World::control() {
  Group group;
  state_hws(group);
  groups_[group_count_] = group;
  if (submit(group_count_, {})) ++group_count_;
}

std::optional<std::string> World::complete(std::size_t index) {
  const InFlight done = inflight_[index];
  inflight_.erase(inflight_.begin() + static_cast<std::ptrdiff_t>(index));
  const Group& group = groups_[done.attempt.group];
  Cell& at = cell(done.attempt);
  at = {.media = done.attempt_index, .cached = none, .retired = false};
  const std::uint8_t handle = handle_of(done.attempt.session, done.attempt.segment);
  std::vector<wal::StatedOffset> statements;
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    if (group.stated[p] == none) continue;
    statements.push_back({.partition = tp(p), .offset = off(group.stated[p])});
    parts_[p].stated = std::max(parts_[p].stated, group.stated[p]);
    parts_[p].witnessed = std::max(parts_[p].witnessed, std::min(group.stated[p], parts_[p].exposed_count));
  }
  const std::vector<wal::SegmentHandle> copies(done.copies.begin(), done.copies.end());
  book_.completed(handle, model::Lsn(done.attempt.lsn), group.record_count, statements, copies);
  if (limits_.mutation == Mutation::statements_freed_early) {
    for (const wal::StatedOffset& statement : statements) book_.uploaded_to(statement.partition, statement.offset);
  }
  for (std::uint8_t i = 0; i < group.record_count; ++i) {
    const Record& record = group.records[i];
    Partition& part = parts_[record.partition];
    Pending* pending = nullptr;
    for (std::uint8_t k = 0; k < part.pending_count; ++k) {
      if (part.pending[k].value == record.value) pending = &part.pending[k];
    }
    if (pending != nullptr) pending->durable = true;
    const bool confirmed_early = limits_.mutation == Mutation::confirm_before_completion && record.offset < part.hw;
    if (pending != nullptr || confirmed_early) {
      held_.push_back({.partition = record.partition,
                       .offset = record.offset,
                       .epoch = record.epoch,
                       .handle = handle,
                       .lsn = done.attempt.lsn});
    } else {
      book_.release(handle, model::Lsn(done.attempt.lsn), 1);  // void meanwhile
    }
  }
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    if (auto broken = confirm(p)) return broken;
  }
  return std::nullopt;
}

std::optional<std::string> World::confirm(std::uint8_t p) {
  Partition& part = parts_[p];
  while (part.pending_count > 0 && part.pending[0].durable && part.pending[0].offset == part.hw) {
    if (auto broken = expose(p, part.hw, part.pending[0].value)) return broken;
    ++part.hw;
    std::move(part.pending.begin() + 1, part.pending.begin() + part.pending_count, part.pending.begin());
    part.pending[--part.pending_count] = {};
  }
  if (limits_.mutation == Mutation::records_freed_early) release_where(p, part.hw, false);
  return std::nullopt;
}

std::optional<std::string> World::expose(std::uint8_t p, std::uint8_t offset, std::uint8_t value) {
  Partition& part = parts_[p];
  if ((failed_values_ >> value & 1U) != 0) {
    return fmt::format("P2: value {} was reported as failed and stands at offset {} of partition {}", value, offset, p);
  }
  if (offset < part.exposed_count) {
    if (part.exposed[offset] == value) return std::nullopt;
    return fmt::format("P2: offset {} of partition {} showed value {} and now shows {}", offset, p, part.exposed[offset],
                       value);
  }
  if (offset != part.exposed_count)
    return fmt::format("P2: partition {} skips from offset {} to {}", p, part.exposed_count, offset);
  part.exposed[offset] = value;
  ++part.exposed_count;
  return std::nullopt;
}

void World::fail(std::size_t index, Fate fate) {
  ++errors_;
  InFlight& write = inflight_[index];
  Cell& at = cell(write.attempt);
  if (fate == Fate::landed) at.cached = write.attempt_index;
  if (fate == Fate::late_or_torn) at.cached = garbage;
  const std::uint8_t handle = handle_of(write.attempt.session, write.attempt.segment);
  book_.failed(handle);
  write.copies.push_back(handle);
  write.failed = true;
}

void World::reappend(std::size_t index) {
  InFlight write = inflight_[index];
  World before = *this;
  inflight_.erase(inflight_.begin() + static_cast<std::ptrdiff_t>(index));
  if (!submit(write.attempt.group, write.copies)) *this = std::move(before);  // waits for a free segment
}

void World::give_up(std::size_t index) {
  const InFlight write = inflight_[index];
  inflight_.erase(inflight_.begin() + static_cast<std::ptrdiff_t>(index));
  const Group& group = groups_[write.attempt.group];
  std::vector<wal::StatedOffset> ends;
  for (std::uint8_t i = 0; i < group.record_count; ++i) {
    ends.push_back(
        {.partition = tp(group.records[i].partition), .offset = off(static_cast<std::uint8_t>(group.records[i].offset + 1))});
  }
  const std::vector<wal::SegmentHandle> copies(write.copies.begin(), write.copies.end());
  book_.given_up(copies, ends);
  for (std::uint8_t i = 0; i < group.record_count; ++i) {
    const Record& record = group.records[i];
    // A record that an earlier void took already fails nobody.
    if (record.epoch == parts_[record.partition].epoch() && record.offset < parts_[record.partition].next)
      void_from_hw(record.partition);
  }
}

void World::void_from_hw(std::uint8_t p) {
  Partition& part = parts_[p];
  for (std::uint8_t i = 0; i < part.pending_count; ++i) {
    if (part.pending[i].offset >= part.hw)
      failed_values_ = static_cast<std::uint8_t>(failed_values_ | 1U << part.pending[i].value);
  }
  if (limits_.mutation == Mutation::void_above_hw) {
    // The failed offset is skipped: later ones of the old epoch stay.
    part.history_epoch[part.history_count] = static_cast<std::uint8_t>(part.epoch() + 1);
    part.history_start[part.history_count] = part.next;
    ++part.history_count;
    part.stated = std::max(part.stated, part.next);
    part.pending_count = 0;
    part.hw = part.next;
    return;
  }
  if (limits_.mutation != Mutation::void_keeps_epoch) {
    part.history_epoch[part.history_count] = static_cast<std::uint8_t>(part.epoch() + 1);
    part.history_start[part.history_count] = part.hw;
    ++part.history_count;
    part.stated = std::max(part.stated, part.hw);
  }
  part.pending_count = 0;
  part.pending = {};
  part.next = part.hw;
  // Durable records at or above HW, of the epoch that is void now.
  std::erase_if(held_, [&](const Place& place) {
    if (place.partition != p || place.offset < part.hw) return false;
    book_.release(place.handle, model::Lsn(place.lsn), 1);
    return true;
  });
}

void World::release_where(std::uint8_t p, std::uint8_t below, bool dead) {
  std::erase_if(dead ? dead_ : held_, [&](const Place& place) {
    if (place.partition != p || (!dead && place.offset >= below)) return false;
    book_.release(place.handle, model::Lsn(place.lsn), 1);
    return true;
  });
}

void World::upload(std::uint8_t p) {
  Partition& part = parts_[p];
  part.uploaded = part.hw;
  release_where(p, part.hw, false);
  book_.uploaded_to(tp(p), off(part.hw));
}

void World::retire(std::uint8_t handle) {
  book_.retired(handle);
  const auto session = static_cast<std::uint8_t>(handle / limits_.own_segments);
  const auto segment = static_cast<std::uint8_t>(handle % limits_.own_segments);
  cells_[session][segment] = {.media = none, .cached = none, .retired = true};
  // A late write lands in a file that has no name any more.
  std::erase_if(ghosts_, [&](std::uint8_t attempt) {
    return attempts_[attempt].session == session && attempts_[attempt].segment == segment;
  });
}

// --- crash and recovery ---

std::optional<std::string> World::crash(bool power, std::uint32_t fates) {
  ++crashes_;
  std::size_t choice = 0;
  std::vector<std::pair<std::uint8_t, Fate>> cached;
  if (power) {
    std::size_t skip = ghosts_.size();
    for (const InFlight& write : inflight_) skip += write.failed ? 0U : 1U;
    for (std::uint8_t s = 0; s <= session_; ++s) {
      for (std::uint8_t i = 0; i < limits_.own_segments; ++i) {
        Cell& c = cells_[s][i];
        if (c.cached == none) continue;
        const Fate fate = skip < 5 ? fate_at(fates, skip) : Fate::lost;
        ++skip;
        if (fate == Fate::landed) c.media = c.cached;
        if (fate == Fate::late_or_torn) c.media = garbage;
        c.cached = none;
      }
    }
  }
  std::vector<std::uint8_t> landing = ghosts_;
  if (power) ghosts_.clear();
  std::vector<std::uint8_t> writes;
  for (const InFlight& write : inflight_) {
    if (!write.failed) writes.push_back(write.attempt_index);
  }
  if (power) writes.insert(writes.end(), landing.begin(), landing.end());
  for (const std::uint8_t attempt : writes) {
    Cell& c = cell(attempts_[attempt]);
    const Fate fate = choice < 5 ? fate_at(fates, choice) : Fate::lost;
    ++choice;
    if (c.retired) continue;
    if (fate == Fate::landed) (power ? c.media : c.cached) = attempt;
    if (fate == Fate::late_or_torn) {
      if (power) {
        c.media = garbage;
      } else {
        ghosts_.push_back(attempt);
      }
    }
  }
  inflight_.clear();
  return recover();
}

wal::PartitionDecision World::decide(std::uint8_t p, const std::vector<std::uint8_t>& valid,
                                     std::vector<wal::FoundRecord>& found) const {
  const Partition& part = parts_[p];
  std::vector<wal::HistoryEntry> history;
  for (std::uint8_t i = 0; i < part.history_count; ++i) {
    history.push_back({.epoch = model::LeaderEpoch(part.history_epoch[i]), .start = off(part.history_start[i])});
  }
  std::optional<model::Offset> witness;
  for (const std::uint8_t attempt : valid) {
    const Group& group = groups_[attempts_[attempt].group];
    if (group.stated[p] != none) witness = std::max(witness.value_or(off(0)), off(group.stated[p]));
    for (std::uint8_t i = 0; i < group.record_count; ++i) {
      if (group.records[i].partition != p) continue;
      found.push_back({.epoch = model::LeaderEpoch(group.records[i].epoch),
                       .base_offset = off(group.records[i].offset),
                       .offset_count = 1,
                       .lsn = attempts_[attempt].lsn,
                       .index = found.size()});
    }
  }
  if (limits_.mutation == Mutation::highest_epoch_wins) {
    std::vector<wal::FoundRecord> best;
    for (const wal::FoundRecord& record : found) {
      const bool beaten = std::any_of(found.begin(), found.end(), [&](const wal::FoundRecord& other) {
        return other.base_offset == record.base_offset && other.epoch > record.epoch;
      });
      if (beaten) continue;
      // The history is bent so that the real function accepts whatever epoch was found.
      best.push_back(record);
      best.back().epoch = history.back().epoch;
    }
    std::vector<wal::HistoryEntry> any{{.epoch = history.back().epoch, .start = off(0)}};
    wal::PartitionDecision bent =
        wal::recover_partition({.uploaded_to = off(part.uploaded), .history = any, .records = best, .witness = witness});
    bent.witness = std::max(bent.witness, history.back().start);
    bent.quarantine = bent.witness > bent.end;
    return bent;
  }
  return wal::recover_partition({.uploaded_to = off(part.uploaded), .history = history, .records = found, .witness = witness});
}

std::optional<std::string> World::recover() {
  ++seen.recoveries;
  std::vector<std::uint8_t> valid;
  for (std::uint8_t s = 0; s <= session_; ++s) {
    bool hole = false;
    for (std::uint8_t i = 0; i < limits_.own_segments; ++i) {
      Cell& c = cells_[s][i];
      if (c.retired) continue;
      const std::uint8_t attempt = visible(c);
      if (attempt >= garbage) hole = true;
      if (attempt < garbage && !(hole && limits_.mutation == Mutation::hole_is_the_end)) valid.push_back(attempt);
      if (limits_.mutation != Mutation::no_flush) c = {.media = attempt, .cached = none, .retired = false};
    }
  }
  // The book anew: earlier segments first, in order, then the new session's.
  book_ = wal::SegmentBook(8192, 4096);
  for (std::uint8_t s = 0; s <= session_; ++s) {
    for (std::uint8_t i = 0; i < limits_.own_segments; ++i) {
      const wal::SegmentHandle handle = book_.add(false);
      const Cell& c = cells_[s][i];
      if (c.retired) {
        book_.retired(handle);
        continue;
      }
      const std::uint8_t attempt = visible(c);
      if (attempt == garbage) book_.keep(handle);
      if (attempt >= garbage) continue;
      const Group& group = groups_[attempts_[attempt].group];
      book_.recovered_records(handle, group.record_count);
      for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
        if (group.stated[p] != none) book_.recovered_statement(handle, {.partition = tp(p), .offset = off(group.stated[p])});
      }
    }
  }
  ++session_;
  next_lsn_ = 1;  // each session's WAL counts anew: LSNs of two sessions say nothing about their order
  for (std::uint8_t i = 0; i < limits_.own_segments; ++i) book_.add(true);
  held_.clear();
  dead_.clear();
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    if (auto broken = recover_one(p, valid)) return broken;
  }
  return std::nullopt;
}

std::optional<std::string> World::recover_one(std::uint8_t p, const std::vector<std::uint8_t>& valid) {
  Partition& part = parts_[p];
  std::vector<wal::FoundRecord> found;
  const wal::PartitionDecision decision = decide(p, valid, found);
  std::vector<Place> places;
  std::vector<std::uint8_t> values;
  for (const std::uint8_t attempt : valid) {
    const Attempt& a = attempts_[attempt];
    for (std::uint8_t i = 0; i < groups_[a.group].record_count; ++i) {
      const Record& record = groups_[a.group].records[i];
      if (record.partition != p) continue;
      places.push_back({.partition = p,
                        .offset = record.offset,
                        .epoch = record.epoch,
                        .handle = handle_of(a.session, a.segment),
                        .lsn = a.lsn});
      values.push_back(record.value);
    }
  }
  const auto end = static_cast<std::uint8_t>(decision.end.value());
  part.pending_count = 0;
  part.pending = {};
  part.open = false;
  part.quarantined = decision.quarantine;
  part.stale_seen = !decision.dead.empty();
  if (!decision.dead.empty()) ++seen.dead;
  if (found.size() > decision.tail.size() + decision.dead.size()) ++seen.copies;
  const bool rotted =
      rotten_group_ != none && std::any_of(groups_[rotten_group_].records.begin(),
                                           groups_[rotten_group_].records.begin() + groups_[rotten_group_].record_count,
                                           [&](const Record& record) { return record.partition == p; });
  if (decision.quarantine) {
    ++seen.quarantines;
    if (!rotted)
      return fmt::format("partition {} is quarantined (E {} W {}) though nothing of it rotted", p, end,
                         decision.witness.value());
    return std::nullopt;  // nothing of it is freed
  }
  if (end < part.exposed_count) {
    if (!rotted) return fmt::format("P1: partition {} ends at {}, {} offsets had been seen", p, end, part.exposed_count);
    if (end < part.witnessed) {
      return fmt::format("P1: partition {} silently ends at {}, a durable group had stated {}", p, end, part.witnessed);
    }
    part.exposed_count = end;  // rot that no group witnessed: nothing can tell it from a torn write
  }
  for (const std::size_t index : decision.tail) {
    if (auto broken = expose(p, places[index].offset, values[index])) return broken;
    held_.push_back(places[index]);
  }
  for (const std::size_t index : decision.dead) dead_.push_back(places[index]);
  part.hw = end;
  part.next = end;
  part.stated = part.history_start[part.history_count - 1];
  book_.uploaded_to(tp(p), off(part.uploaded));
  return std::nullopt;
}

// --- identity and text ---

void World::append_key(std::vector<std::uint8_t>& key) const {
  const auto put = [&key](std::size_t value) { key.push_back(static_cast<std::uint8_t>(value)); };
  for (const std::uint8_t n :
       {crashes_, errors_, rots_, values_, session_, next_lsn_, rotten_group_, group_count_, attempt_count_, failed_values_})
    put(n);
  for (std::uint8_t p = 0; p < limits_.partitions; ++p) {
    const Partition& part = parts_[p];
    for (std::uint8_t i = 0; i < part.history_count; ++i) {
      put(part.history_epoch[i]);
      put(part.history_start[i]);
    }
    put(none);
    for (const std::uint8_t n : {part.uploaded, part.hw, part.next, part.stated, part.witnessed, part.exposed_count}) put(n);
    put((part.open ? 1U : 0U) | (part.quarantined ? 2U : 0U) | (part.stale_seen ? 4U : 0U));
    for (std::uint8_t i = 0; i < part.exposed_count; ++i) put(part.exposed[i]);
    for (std::uint8_t i = 0; i < part.pending_count; ++i) put(part.pending[i].value * 2U + (part.pending[i].durable ? 1U : 0U));
    put(none);
  }
  for (std::uint8_t g = 0; g < group_count_; ++g) {
    const Group& group = groups_[g];
    for (std::uint8_t i = 0; i < group.record_count; ++i) {
      put(group.records[i].partition);
      put(group.records[i].epoch);
      put(group.records[i].offset);
    }
    put(none);
    for (const std::uint8_t hw : group.stated) put(hw);
  }
  for (std::uint8_t i = 0; i < attempt_count_; ++i) {
    put(attempts_[i].group);
    put(attempts_[i].session * 16U + attempts_[i].segment);
  }
  for (std::uint8_t s = 0; s <= session_; ++s) {
    for (std::uint8_t i = 0; i < limits_.own_segments; ++i) {
      put(cells_[s][i].media);
      put(cells_[s][i].cached);
      put(cells_[s][i].retired ? 1U : 0U);
    }
  }
  for (const InFlight& write : inflight_) {
    put(write.attempt_index);
    put(write.failed ? 1U : 0U);
    for (const std::uint8_t copy : write.copies) put(copy);
    put(none);
  }
  put(none);
  for (const std::uint8_t ghost : ghosts_) put(ghost);
  put(none);
  for (wal::SegmentHandle h = 0; h < book_.size(); ++h) {
    put(book_.live(h));
    put(book_.holds(h));
    put((book_.fenced(h) ? 1U : 0U) | (book_.reusable(h) ? 2U : 0U) | (book_.retirable(h) ? 4U : 0U) |
        (book_.needed(h) ? 8U : 0U));
  }
  put(held_.size());
  put(dead_.size());
}

std::string World::describe(const Step& step) {
  static constexpr const char* names[] = {
      "append", "control group",  "complete",     "write fails", "re-append",  "give up and void",
      "upload", "retire segment", "late landing", "kill",        "power loss", "rot"};
  std::string text = names[static_cast<std::size_t>(step.kind)];
  if (step.kind == StepKind::append) return text + (step.a == 1 ? " A" : step.a == 2 ? " B" : " A+B");
  if (step.kind == StepKind::kill || step.kind == StepKind::power_loss) {
    static constexpr const char* fates[] = {"lost", "landed", "late/torn", "?"};
    for (std::size_t i = 0; i < 3; ++i) text += fmt::format(" {}", fates[step.fates >> (2 * i) & 3U]);
    return text;
  }
  return fmt::format("{} {} {}", text, step.a, step.b);
}

}  // namespace weir::model_test

// The machine's common parts: state changes, answers, timers, members, writes.
#include "groups/core/machine.h"

#include <algorithm>

#include "base/ensure.h"
#include "groups/core/records.h"

namespace weir::groups {

Effects step(Group& group, const StoredGroup* stored, const Event& event, const Limits& limits, const Now& now) {
  Machine machine(group, stored, limits, now);
  std::visit([&](const auto& happened) { machine.on(happened); }, event);
  return machine.take();
}

void Machine::move(Cause cause) {
  const State to = next_state(g_.state, cause);
  g_.previous = g_.state;
  g_.state = to;
  g_.state_since = now_.wall;
}

void Machine::answer(Ticket ticket, Answer value) {
  if (ticket != 0) effects_.answers.emplace_back(ticket, std::move(value));
}

void Machine::want_wake(base::MonoTime when) { effects_.wake = std::min(effects_.wake, when); }

Errc Machine::check_member(const std::string& id, const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const auto at = g_.static_ids.find(*instance_id);
    if (at == g_.static_ids.end()) return Errc::unknown_member_id;
    if (at->second != id) return Errc::fenced_instance_id;
  }
  return g_.members.contains(id) ? Errc::none : Errc::unknown_member_id;
}

void Machine::renew_session(Member& member) {
  member.deadline = member.is_new ? now_.mono + new_member_wait_max : after_ms(member.session_timeout_ms);
  want_wake(member.deadline);
}

// An older request of the same member has no client any more (one request at a time): it must not wait for ever.
void Machine::set_join(Member& member, Ticket ticket) {
  if (member.join != 0) {
    --g_.awaiting_join_count;
    answer(member.join, JoinAnswer{.error = Errc::rebalance_in_progress, .member_id = member.id});
  }
  member.join = ticket;
  if (ticket != 0) ++g_.awaiting_join_count;
}

void Machine::answer_join(Member& member, JoinAnswer value) {
  if (member.join == 0) return;
  answer(member.join, std::move(value));
  member.join = 0;
  --g_.awaiting_join_count;
}

bool Machine::answer_sync(Member& member, Errc error) {
  if (member.sync == 0) return false;
  answer(member.sync, SyncAnswer{.error = error,
                                 .protocol_type = g_.protocol_type,
                                 .protocol_name = g_.protocol_name,
                                 .assignment = error == Errc::none ? member.assignment : bytes::Buffer()});
  member.sync = 0;
  return true;
}

void Machine::answer_all_syncs(Errc error) {
  for (auto& [id, member] : g_.members) {
    if (error != Errc::none) member.assignment = {};
    if (answer_sync(member, error)) renew_session(member);
  }
}

void Machine::count_protocols(const Member& member, bool add) {
  for (const Protocol& protocol : member.protocols) {
    std::size_t& count = g_.protocol_counts[protocol.name];
    count += add ? 1 : std::size_t(-1);
    if (count == 0) g_.protocol_counts.erase(protocol.name);
  }
}

// Its waiting requests are answered before: see callers.
void Machine::remove_member(const std::string& id) {
  g_.pending_joins.erase(id);
  g_.pending_syncs.erase(id);
  const auto at = g_.members.find(id);
  if (at == g_.members.end()) return;
  Member& member = at->second;
  // A new member may go with its JoinGroup still waiting; the client, if it is there, joins again.
  answer_join(member, JoinAnswer{.error = Errc::unknown_member_id});
  answer_sync(member, Errc::unknown_member_id);
  count_protocols(member, false);
  if (member.instance_id) {
    const auto known = g_.static_ids.find(*member.instance_id);
    if (known != g_.static_ids.end() && known->second == id) g_.static_ids.erase(known);
  }
  g_.members.erase(at);
  if (g_.leader != id) return;
  g_.leader.clear();
  std::uint64_t oldest = UINT64_MAX;
  for (const auto& [other_id, other] : g_.members) {
    if (other.joined_at < oldest) {
      oldest = other.joined_at;
      g_.leader = other_id;
    }
  }
}

WriteId Machine::begin_write(PendingWrite pending, std::vector<Record> records) {
  const WriteId id = g_.next_write++;
  g_.writes.emplace(id, std::move(pending));
  effects_.writes.push_back({.id = id, .records = std::move(records)});
  return id;
}

bool Machine::assignment_under_way() const {
  return std::ranges::any_of(g_.writes, [&](const auto& entry) {
    return entry.second.kind == PendingWrite::Kind::assignment && entry.second.generation == g_.generation;
  });
}

// --- heartbeats, leaving, time ---

void Machine::on(const Heartbeat& event) {
  const auto refuse = [&](Errc error) { answer(event.ticket, PlainAnswer{.error = error}); };
  if (g_.state == State::dead) return refuse(rule(Request::heartbeat, State::dead).error);
  if (const Errc error = check_member(event.member_id, event.instance_id); error != Errc::none) return refuse(error);
  if (event.generation != g_.generation) return refuse(Errc::illegal_generation);
  // Members may heartbeat as soon as they have their JoinGroup answer, so also while the assignment is awaited.
  renew_session(g_.members.at(event.member_id));
  refuse(rule(Request::heartbeat, g_.state).error);
}

void Machine::on(const Leave& event) {
  if (g_.state == State::dead) {
    answer(event.ticket, ListAnswer{.error = rule(Request::leave, State::dead).error});
    return;
  }
  ListAnswer result;
  bool somebody_left = false;
  for (const Leave::Leaving& leaving : event.members) {
    Errc error = Errc::none;
    std::string id = leaving.member_id;
    if (id.empty()) {
      // An administrator removes a static member by its instance id.
      const auto known = leaving.instance_id ? g_.static_ids.find(*leaving.instance_id) : g_.static_ids.end();
      error = known == g_.static_ids.end() ? Errc::unknown_member_id : Errc::none;
      if (error == Errc::none) id = known->second;
    } else if (!g_.pending_joins.contains(id)) {
      error = check_member(id, leaving.instance_id);
    }
    if (error == Errc::none) {
      remove_member(id);
      somebody_left = true;
    }
    result.each.push_back(error);
  }
  answer(event.ticket, std::move(result));
  if (somebody_left) member_went();
}

void Machine::on(const Tick& /*event*/) {
  if (g_.sync_deadline && *g_.sync_deadline <= now_.mono) sync_time_over();
  expire_members();
  if (g_.join_deadline && *g_.join_deadline <= now_.mono) {
    g_.join_deadline.reset();
    if (g_.initial_delay) {
      initial_delay_over();
    } else {
      complete_join();
    }
  }
  if (g_.sync_deadline) want_wake(*g_.sync_deadline);
  if (g_.join_deadline) want_wake(*g_.join_deadline);
  for (const auto& [id, until] : g_.pending_joins) want_wake(until);
  for (const auto& [id, member] : g_.members) {
    if (member.is_new || (member.join == 0 && member.sync == 0)) want_wake(member.deadline);
  }
}

void Machine::expire_members() {
  if (g_.state == State::dead) return;
  std::vector<std::string> silent;
  for (const auto& [id, until] : g_.pending_joins) {
    if (until <= now_.mono) silent.push_back(id);
  }
  for (const auto& [id, member] : g_.members) {
    // Who waits for a rebalance is alive; only a member that never got an answer may be a client that is gone.
    const bool waits = !member.is_new && (member.join != 0 || member.sync != 0);
    if (!waits && member.deadline <= now_.mono) silent.push_back(id);
  }
  for (const std::string& id : silent) remove_member(id);
  if (!silent.empty()) member_went();
}

// --- writes that have ended ---

void Machine::on(const Written& event) {
  const auto at = g_.writes.find(event.write);
  ENSURE(at != g_.writes.end(), "group {} is told of write {}, which it did not begin", g_.id, event.write);
  PendingWrite write = std::move(at->second);
  g_.writes.erase(at);
  const bool stored = event.error == Errc::none;
  g_.was_stored = g_.was_stored || stored;
  switch (write.kind) {
    case PendingWrite::Kind::commit:
    case PendingWrite::Kind::offsets_removed: {
      if (!stored) {
        for (Errc& each : write.partitions) each = each == Errc::none ? event.error : each;
      }
      answer(write.ticket, ListAnswer{.error = Errc::none, .each = std::move(write.partitions)});
      break;
    }
    case PendingWrite::Kind::assignment:
      if (g_.state != State::completing_rebalance || write.generation != g_.generation) break;  // another rebalance began
      if (stored) {
        for (auto& [id, member] : g_.members) {
          const auto assigned = write.assignments.find(id);
          member.assignment = assigned == write.assignments.end() ? bytes::Buffer() : assigned->second;
        }
        answer_all_syncs(Errc::none);
        move(Cause::assignment_stored);
      } else {
        answer_all_syncs(event.error);
        prepare(Cause::assignment_failed);
      }
      break;
    case PendingWrite::Kind::static_member:
      if (stored) {
        const auto member = g_.members.find(write.new_member);
        if (member != g_.members.end()) {
          answer_join(member->second, std::move(write.join));
          renew_session(member->second);  // it did not expire while it waited
        }
      } else {
        undo_static_member(write);
      }
      break;
    case PendingWrite::Kind::empty_group: break;  // lost, it is stored with the next generation
    case PendingWrite::Kind::removal:
      if (!stored) move(Cause::removal_failed);
      answer(write.ticket, PlainAnswer{.error = event.error});
      break;
  }
}

}  // namespace weir::groups

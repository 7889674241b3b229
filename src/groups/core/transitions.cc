#include "groups/core/transitions.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/ensure.h"

namespace weir::groups {
namespace {

using enum State;

constexpr auto transition_table = std::to_array<Transition>({
    {empty, Cause::member_joins, preparing_rebalance, "wait group.initial.rebalance.delay.ms, longer while others come"},
    {empty, Cause::removal_begins, dead, "write tombstones of its offsets and of itself"},
    {preparing_rebalance, Cause::everybody_joined, completing_rebalance,
     "generation + 1; who did not join is out (static members stay); choose protocol and leader; answer JoinGroup"},
    {preparing_rebalance, Cause::nobody_joined, empty, "generation + 1; store the empty group"},
    {completing_rebalance, Cause::assignment_stored, stable, "answer SyncGroup"},
    {completing_rebalance, Cause::assignment_failed, preparing_rebalance, "answer SyncGroup with the error; all join again"},
    {completing_rebalance, Cause::member_joins, preparing_rebalance, "answer SyncGroup: REBALANCE_IN_PROGRESS; all join again"},
    {completing_rebalance, Cause::member_goes, preparing_rebalance, "answer SyncGroup: REBALANCE_IN_PROGRESS; all join again"},
    {stable, Cause::member_joins, preparing_rebalance, "heartbeats answer REBALANCE_IN_PROGRESS; all join again"},
    {stable, Cause::member_goes, preparing_rebalance, "heartbeats answer REBALANCE_IN_PROGRESS; all join again"},
    {stable, Cause::too_many_members, preparing_rebalance, "all join again, up to group.max.size"},
    {dead, Cause::removal_failed, empty, "it is as before"},
});

constexpr auto rule_table = std::to_array<Rule>({
    {Request::join_unchanged, empty, Reaction::refuse, Errc::unknown_member_id},
    {Request::join_unchanged, preparing_rebalance, Reaction::wait},
    {Request::join_unchanged, completing_rebalance, Reaction::answer},
    {Request::join_unchanged, stable, Reaction::answer},
    {Request::join_unchanged, dead, Reaction::refuse, Errc::unavailable},
    {Request::join_changed, empty, Reaction::refuse, Errc::unknown_member_id},
    {Request::join_changed, preparing_rebalance, Reaction::wait},
    {Request::join_changed, completing_rebalance, Reaction::rebalance},
    {Request::join_changed, stable, Reaction::rebalance},
    {Request::join_changed, dead, Reaction::refuse, Errc::unavailable},
    {Request::join_leader, empty, Reaction::refuse, Errc::unknown_member_id},
    {Request::join_leader, preparing_rebalance, Reaction::wait},
    {Request::join_leader, completing_rebalance, Reaction::answer},
    {Request::join_leader, stable, Reaction::rebalance},
    {Request::join_leader, dead, Reaction::refuse, Errc::unavailable},
    {Request::sync, empty, Reaction::refuse, Errc::unknown_member_id},
    {Request::sync, preparing_rebalance, Reaction::refuse, Errc::rebalance_in_progress},
    {Request::sync, completing_rebalance, Reaction::wait},
    {Request::sync, stable, Reaction::answer},
    {Request::sync, dead, Reaction::refuse, Errc::unavailable},
    {Request::heartbeat, empty, Reaction::refuse, Errc::unknown_member_id},
    {Request::heartbeat, preparing_rebalance, Reaction::refuse, Errc::rebalance_in_progress},
    {Request::heartbeat, completing_rebalance, Reaction::done},
    {Request::heartbeat, stable, Reaction::done},
    {Request::heartbeat, dead, Reaction::refuse, Errc::unavailable},
    {Request::commit, empty, Reaction::refuse, Errc::unknown_member_id},
    {Request::commit, preparing_rebalance, Reaction::done},
    {Request::commit, completing_rebalance, Reaction::refuse, Errc::rebalance_in_progress},
    {Request::commit, stable, Reaction::done},
    {Request::commit, dead, Reaction::refuse, Errc::unavailable},
    {Request::leave, empty, Reaction::refuse, Errc::unknown_member_id},
    {Request::leave, preparing_rebalance, Reaction::done},
    {Request::leave, completing_rebalance, Reaction::rebalance},
    {Request::leave, stable, Reaction::rebalance},
    {Request::leave, dead, Reaction::refuse, Errc::unavailable},
});

std::string_view to_string(Reaction reaction) {
  switch (reaction) {
    case Reaction::refuse: return "refuse";
    case Reaction::answer: return "answer from this generation";
    case Reaction::wait: return "wait";
    case Reaction::rebalance: return "rebalance";
    case Reaction::done: return "done";
  }
  return "?";
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case empty: return "Empty";
    case preparing_rebalance: return "PreparingRebalance";
    case completing_rebalance: return "CompletingRebalance";
    case stable: return "Stable";
    case dead: return "Dead";
  }
  return "?";
}

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::member_joins: return "a member joins";
    case Cause::member_goes: return "a member goes";
    case Cause::too_many_members: return "too many members";
    case Cause::everybody_joined: return "everybody joined, or the time is over";
    case Cause::nobody_joined: return "nobody is left";
    case Cause::assignment_stored: return "the assignment is stored";
    case Cause::assignment_failed: return "the assignment is not stored";
    case Cause::removal_begins: return "it is removed";
    case Cause::removal_failed: return "the removal is not stored";
  }
  return "?";
}

std::string_view to_string(Request request) {
  switch (request) {
    case Request::join_unchanged: return "JoinGroup of a follower, unchanged";
    case Request::join_changed: return "JoinGroup with other metadata";
    case Request::join_leader: return "JoinGroup of the leader, unchanged";
    case Request::sync: return "SyncGroup";
    case Request::heartbeat: return "Heartbeat";
    case Request::commit: return "OffsetCommit";
    case Request::leave: return "LeaveGroup";
  }
  return "?";
}

std::string_view to_string(Errc errc) {
  switch (errc) {
    case Errc::none: return "none";
    case Errc::loading: return "coordinator_load_in_progress";
    case Errc::not_coordinator: return "not_coordinator";
    case Errc::unavailable: return "coordinator_not_available";
    case Errc::too_large: return "too_large";
    case Errc::invalid_group_id: return "invalid_group_id";
    case Errc::invalid_session_timeout: return "invalid_session_timeout";
    case Errc::unknown_member_id: return "unknown_member_id";
    case Errc::member_id_required: return "member_id_required";
    case Errc::illegal_generation: return "illegal_generation";
    case Errc::rebalance_in_progress: return "rebalance_in_progress";
    case Errc::fenced_instance_id: return "fenced_instance_id";
    case Errc::inconsistent_protocol: return "inconsistent_group_protocol";
    case Errc::group_max_size_reached: return "group_max_size_reached";
    case Errc::group_id_not_found: return "group_id_not_found";
    case Errc::non_empty_group: return "non_empty_group";
    case Errc::subscribed_to_topic: return "group_subscribed_to_topic";
    case Errc::offset_metadata_too_large: return "offset_metadata_too_large";
    case Errc::unstable_offset: return "unstable_offset_commit";
  }
  return "?";
}

std::span<const Transition> transitions() { return transition_table; }

const Transition* find_transition(State from, Cause cause) {
  const auto* at =
      std::ranges::find_if(transition_table, [&](const Transition& row) { return row.from == from && row.cause == cause; });
  return at == transition_table.end() ? nullptr : at;
}

State next_state(State from, Cause cause) {
  const Transition* row = find_transition(from, cause);
  ENSURE(row != nullptr, "a group in {} cannot change because {}", to_string(from), to_string(cause));
  return row->to;
}

std::span<const Rule> rules() { return rule_table; }

const Rule& rule(Request request, State state) {
  const auto* at =
      std::ranges::find_if(rule_table, [&](const Rule& row) { return row.request == request && row.state == state; });
  ENSURE(at != rule_table.end(), "no rule for {} in {}", to_string(request), to_string(state));
  return *at;
}

std::string tables_page() {
  std::string page = "| from | because | to | then |\n|---|---|---|---|\n";
  for (const Transition& row : transition_table) {
    page += fmt::format("| {} | {} | {} | {} |\n", to_string(row.from), to_string(row.cause), to_string(row.to), row.effect);
  }
  page += "\n| request |";
  for (const State state : all_states) page += fmt::format(" {} |", to_string(state));
  page += "\n|---|---|---|---|---|---|\n";
  for (const Request request : all_requests) {
    page += fmt::format("| {} |", to_string(request));
    for (const State state : all_states) {
      const Rule& row = rule(request, state);
      page +=
          fmt::format(" {} |", row.error == Errc::none ? std::string(to_string(row.reaction)) : upper(to_string(row.error)));
    }
    page += "\n";
  }
  return page;
}

}  // namespace weir::groups

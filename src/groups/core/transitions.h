// groups/core/transitions.h: the states of a classic group and every way from one to another, as data.
// Why:        the table is what the machine obeys, what the test walks and what docs/groups.md shows; there is no second copy.
// Contract:   pure. A transition that is not in the table is a programming error (next_state asserts).
// Tests:      groups/core/transitions_test.cc drives a group into every row; the golden in docs/groups.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "groups/core/types.h"

namespace weir::groups {

enum class State : std::uint8_t { empty, preparing_rebalance, completing_rebalance, stable, dead };
/// Kafka's name of the state.
std::string_view to_string(State state);
inline constexpr State all_states[] = {State::empty, State::preparing_rebalance, State::completing_rebalance, State::stable,
                                       State::dead};

/// Why a group changes its state.
enum class Cause : std::uint8_t {
  member_joins,       ///< a new member, or a known one that brings something new
  member_goes,        ///< it left, fell silent, or did not fetch its assignment in time
  too_many_members,   ///< found at load: the group is larger than it may be by now
  everybody_joined,   ///< or the time for joining is over and somebody did
  nobody_joined,      ///< the last member went
  assignment_stored,  ///< the leader's assignment is durable
  assignment_failed,  ///< it could not be stored
  removal_begins,     ///< DeleteGroups, or nothing is left of it
  removal_failed,     ///< its tombstones could not be stored
};
std::string_view to_string(Cause cause);

struct Transition {
  State from;
  Cause cause;
  State to;
  std::string_view effect;
};
[[nodiscard]] std::span<const Transition> transitions();
/// Null when the table has no such row.
[[nodiscard]] const Transition* find_transition(State from, Cause cause);
[[nodiscard]] State next_state(State from, Cause cause);

/// Requests of a known member with the right generation, by what its group's state makes of them.
enum class Request : std::uint8_t { join_unchanged, join_changed, join_leader, sync, heartbeat, commit, leave };
std::string_view to_string(Request request);
inline constexpr Request all_requests[] = {Request::join_unchanged, Request::join_changed, Request::join_leader, Request::sync,
                                           Request::heartbeat,      Request::commit,       Request::leave};

enum class Reaction : std::uint8_t {
  refuse,     ///< with the error
  answer,     ///< at once, from the current generation
  wait,       ///< until the rebalance is over, or the assignment is stored
  rebalance,  ///< a new one begins
  done,       ///< at once, without change of the group's state
};
struct Rule {
  Request request;
  State state;
  Reaction reaction;
  Errc error = Errc::none;  ///< of refuse
};
[[nodiscard]] std::span<const Rule> rules();
[[nodiscard]] const Rule& rule(Request request, State state);

/// Both tables as Markdown, for docs/groups.md.
[[nodiscard]] std::string tables_page();

}  // namespace weir::groups

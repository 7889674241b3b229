// The table of transitions is walked: each row is reached by real events, and everything the table lacks is never done.
#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>

#include "groups/testing/group_fixture.h"

namespace weir::groups {
namespace {

using testing::Subject;

struct Way {
  State from;
  Cause cause;
  std::function<void(Subject&)> go;
};

std::vector<Way> ways() {
  return {
      {State::empty, Cause::member_joins, [](Subject& s) { s.join_new("x"); }},
      {State::empty, Cause::removal_begins,
       [](Subject& s) {
         s.commit("", 1, "t", -1);
         s.finish_write();
         s.on(Remove{.ticket = s.next++});
       }},
      {State::preparing_rebalance, Cause::everybody_joined, [](Subject& s) { s.advance(std::chrono::seconds(3)); }},
      {State::preparing_rebalance, Cause::nobody_joined,
       [](Subject& s) {
         s.leave("a");
         s.advance(std::chrono::seconds(3));
       }},
      {State::completing_rebalance, Cause::assignment_stored,
       [](Subject& s) {
         s.sync("a", {{"a", "1"}});
         s.finish_write();
       }},
      {State::completing_rebalance, Cause::assignment_failed,
       [](Subject& s) {
         s.sync("a", {{"a", "1"}});
         s.finish_write(Errc::unavailable);
       }},
      {State::completing_rebalance, Cause::member_joins, [](Subject& s) { s.join_new("x"); }},
      {State::completing_rebalance, Cause::member_goes, [](Subject& s) { s.leave("b"); }},
      {State::stable, Cause::member_joins, [](Subject& s) { s.join_new("x"); }},
      {State::stable, Cause::member_goes, [](Subject& s) { s.leave("b"); }},
      {State::stable, Cause::too_many_members,
       [](Subject& s) {
         s.limits.size_max = 1;
         Restored restored = restore_group("g", *s.stored.find("g"), s.limits, s.now);
         s.group = std::move(restored.group);
         s.take(std::move(restored.effects));
       }},
      {State::dead, Cause::removal_failed, [](Subject& s) { s.finish_write(Errc::unavailable); }},
  };
}

TEST(Transitions, EveryRowOfTheTableIsReached) {
  const std::vector<Way> all = ways();
  for (const Transition& row : transitions()) {
    SCOPED_TRACE(std::string(to_string(row.from)) + ", because " + std::string(to_string(row.cause)));
    const auto way = std::ranges::find_if(all, [&](const Way& one) { return one.from == row.from && one.cause == row.cause; });
    ASSERT_NE(way, all.end()) << "the test has no way to this row";
    Subject subject;
    subject.make(row.from);
    way->go(subject);
    EXPECT_EQ(to_string(subject.group.state), to_string(row.to));
  }
  EXPECT_EQ(all.size(), transitions().size()) << "a way without a row";
}

// What a known member of the right generation is answered, in every state that has members.
TEST(Transitions, EveryRuleHolds) {
  for (const Rule& row : rules()) {
    SCOPED_TRACE(std::string(to_string(row.request)) + " in " + std::string(to_string(row.state)));
    Subject s;
    s.make(row.state);
    const std::string leader = s.group.leader.empty() ? "a" : s.group.leader;
    const std::string follower = leader == "a" && s.group.members.contains("b") ? "b" : "a";
    if (row.request == Request::join_unchanged && row.state == State::preparing_rebalance) s.join_new("b");
    const std::int32_t generation = s.group.generation;
    Ticket ticket = 0;
    Errc error = Errc::none;
    switch (row.request) {
      case Request::join_unchanged: ticket = s.join_again(row.state == State::preparing_rebalance ? "b" : follower); break;
      case Request::join_changed: ticket = s.join_again(follower, "other"); break;
      case Request::join_leader: ticket = s.join_again(leader); break;
      case Request::sync: ticket = s.sync(follower); break;
      case Request::heartbeat: error = s.heartbeat(leader); break;
      case Request::commit: ticket = s.commit(follower, 5, "t", std::max(generation, 0)); break;
      case Request::leave: {
        Leave event{.ticket = s.next++, .members = {{.member_id = follower}}};
        s.on(event);
        const auto answer = s.answer<ListAnswer>(event.ticket);
        error = answer.error == Errc::none ? answer.each.front() : answer.error;
        break;
      }
    }
    if (ticket != 0 && s.answered(ticket)) {
      if (row.request == Request::sync) error = s.answer<SyncAnswer>(ticket).error;
      if (row.request == Request::commit) error = s.answer<ListAnswer>(ticket).error;
      if (row.request <= Request::join_leader) error = s.answer<JoinAnswer>(ticket).error;
    }
    EXPECT_EQ(to_string(error), to_string(row.error));
    if (row.reaction == Reaction::wait) EXPECT_FALSE(s.answered(ticket));
    if (row.reaction == Reaction::answer) {
      EXPECT_TRUE(s.answered(ticket));
      EXPECT_EQ(s.group.generation, generation);
      EXPECT_EQ(s.group.state, row.state);
    }
    if (row.reaction == Reaction::rebalance) EXPECT_EQ(s.group.state, State::preparing_rebalance);
    if (row.reaction == Reaction::done && row.request != Request::leave) EXPECT_EQ(s.group.state, row.state);
  }
}

TEST(Transitions, ThePageShowsTheTables) {
  std::ifstream in(WEIR_SOURCE_DIR "/docs/groups.md");
  const std::string page{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_NE(page.find(tables_page()), std::string::npos) << "docs/groups.md must hold:\n" << tables_page();
}

}  // namespace
}  // namespace weir::groups

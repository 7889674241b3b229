// groups/testing/group_fixture.h: one group under test: events in, answers, records and time in hand.
// Contract:   writes wait until the test stores or fails them; stored ones are applied as the partition does.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "groups/core/step.h"

namespace weir::groups::testing {

struct Subject {
  Limits limits;
  Now now{.mono = base::MonoTime(std::chrono::hours(1)), .wall = 1'800'000'000'000};
  Group group{.id = "g"};
  StoredState stored;
  std::map<Ticket, Answer> answers;
  std::vector<Effects::Write> writes;  ///< on their way, oldest first
  base::MonoTime wake = base::MonoTime::max();
  std::int64_t log_end = 0;

  void take(Effects effects) {
    for (auto& [ticket, answer] : effects.answers) {
      EXPECT_TRUE(answers.emplace(ticket, std::move(answer)).second) << "ticket " << ticket << " is answered twice";
    }
    for (auto& write : effects.writes) writes.push_back(std::move(write));
    wake = std::min(wake, effects.wake);
    group.check();
  }
  void on(Event event) { take(step(group, stored.find(group.id), event, limits, now)); }
  /// Time passes; whatever was due in between happens.
  void advance(base::Duration duration) {
    const base::MonoTime until = now.mono + duration;
    while (wake <= until) {
      set_clock(std::max(wake, now.mono));
      wake = base::MonoTime::max();
      on(Tick{});
    }
    set_clock(until);
  }
  void set_clock(base::MonoTime to) {
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(to - now.mono).count();
    now.mono = to;
  }
  /// The oldest write becomes durable, or certainly does not.
  void finish_write(Errc error = Errc::none) {
    ASSERT_FALSE(writes.empty());
    const Effects::Write write = std::move(writes.front());
    writes.erase(writes.begin());
    for (const Record& record : write.records) {
      if (error != Errc::none) continue;
      auto applied = stored.apply(record.key.view(), record.value ? std::optional(record.value->view()) : std::nullopt,
                                  {.offset = model::Offset(log_end++), .transaction = std::nullopt});
      ASSERT_TRUE(applied) << applied.error().text;
    }
    on(Written{.write = write.id, .error = error});
  }
  template <class A>
  A answer(Ticket ticket) {
    const auto at = answers.find(ticket);
    if (at == answers.end()) {
      ADD_FAILURE() << "ticket " << ticket << " is not answered";
      return {};
    }
    const A* wanted = std::get_if<A>(&at->second);
    EXPECT_NE(wanted, nullptr) << "an answer of another kind";
    return wanted == nullptr ? A{} : *wanted;
  }
  [[nodiscard]] bool answered(Ticket ticket) const { return answers.contains(ticket); }

  // --- members ---
  Ticket next = 1;
  static std::vector<Protocol> protocols(const std::string& text = "m") {
    return {{.name = "range", .metadata = bytes::Buffer::copy_of(text)}};
  }
  Join join_event(const std::string& id, const std::string& metadata = "m") {
    return {.ticket = next++,
            .member_id = id,
            .client_id = "c",
            .client_host = "/h",
            .rebalance_timeout_ms = 60000,
            .session_timeout_ms = 10000,
            .protocol_type = "consumer",
            .protocols = protocols(metadata),
            .fresh_id = "fresh-" + std::to_string(next)};
  }
  /// A new dynamic member of an old client, with the id `id` from now on.
  Ticket join_new(const std::string& id) {
    Join event = join_event("");
    event.fresh_id = id;
    on(event);
    return event.ticket;
  }
  Ticket join_static(const std::string& instance, const std::string& id, bool skip = true) {
    Join event = join_event("");
    event.instance_id = instance;
    event.fresh_id = id;
    event.skip_supported = skip;
    on(event);
    return event.ticket;
  }
  Ticket join_again(const std::string& id, const std::string& metadata = "m") {
    Join event = join_event(id, metadata);
    const auto member = group.members.find(id);
    if (member != group.members.end()) event.instance_id = member->second.instance_id;
    on(event);
    return event.ticket;
  }
  Ticket sync(const std::string& id, std::map<std::string, std::string> assignments = {}) {
    Sync event{.ticket = next++, .member_id = id, .generation = group.generation};
    for (const auto& [member, text] : assignments) event.assignments[member] = bytes::Buffer::copy_of(text);
    on(event);
    return event.ticket;
  }
  Errc heartbeat(const std::string& id, std::optional<std::int32_t> generation = std::nullopt) {
    Heartbeat event{.ticket = next++, .member_id = id, .generation = generation.value_or(group.generation)};
    on(event);
    return answer<PlainAnswer>(event.ticket).error;
  }
  std::vector<Errc> leave(const std::string& id) {
    Leave event{.ticket = next++, .members = {{.member_id = id}}};
    on(event);
    return answer<ListAnswer>(event.ticket).each;
  }
  Ticket commit(const std::string& id, std::int64_t offset, const std::string& topic = "t", std::int32_t generation = -2) {
    Commit event{.ticket = next++, .member_id = id, .generation = generation == -2 ? group.generation : generation};
    event.items.push_back(
        {.at = {.topic = topic, .partition = model::PartitionIndex(0)}, .offset = model::Offset(offset), .metadata = "note"});
    on(event);
    return event.ticket;
  }

  // --- states ---
  void make_preparing() { join_new("a"); }
  void make_completing(int members = 2) {
    join_new("a");
    if (members > 1) join_new("b");
    advance(std::chrono::seconds(10));
    ASSERT_EQ(group.state, State::completing_rebalance);
  }
  void make_stable(int members = 2) {
    make_completing(members);
    if (members > 1) sync("b");
    sync("a", {{"a", "for a"}, {"b", "for b"}});
    finish_write();
    ASSERT_EQ(group.state, State::stable);
  }
  void make(State state) {
    if (state == State::preparing_rebalance) make_preparing();
    if (state == State::completing_rebalance) make_completing();
    if (state == State::stable) make_stable();
    if (state == State::dead) {
      commit("", 1, "t", -1);
      finish_write();
      on(Remove{.ticket = next++});
    }
    ASSERT_EQ(group.state, state);
  }
};

}  // namespace weir::groups::testing

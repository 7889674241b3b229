// Random lives of a group, by seed: members join, fall silent, repeat requests, restart as static ones, commit and leave; writes end
// well or not, in order; the coordinator restarts. What must hold in every one of them is checked after each step.
#include <random>

#include "groups/testing/group_fixture.h"

namespace weir::groups {
namespace {

using testing::Subject;
using namespace std::chrono_literals;

constexpr int seeds = 400;
constexpr int steps = 400;

class Life {
 public:
  explicit Life(unsigned seed) : random_(seed) {}

  void run() {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) one_step();
    settle();
  }

 private:
  std::size_t pick(std::size_t count) { return random_() % count; }

  void one_step() {
    switch (pick(16)) {
      case 0:
      case 1: join_new(); break;
      case 2:
      case 3: join_known(); break;
      case 4:
      case 5:
      case 6: sync(); break;
      case 7: heartbeat(); break;
      case 8: leave(); break;
      case 9: commit(); break;
      case 10:
      case 11:
      case 12: finish_write(); break;
      case 13: s_.advance(std::chrono::milliseconds(pick(4000))); break;
      case 14: s_.advance(std::chrono::milliseconds(pick(100) == 0 ? 400'000 : pick(12'000))); break;
      case 15: pick(30) == 0 ? restart() : s_.on(Expire{}); break;
    }
    look();
  }

  void expect_answer(Ticket ticket) { asked_.insert(ticket); }

  void join_new() {
    if (s_.group.members.size() > 5) return;
    Join event = s_.join_event("");
    event.fresh_id = "m" + std::to_string(next_member_++);
    if (pick(3) == 0) event.instance_id = "i" + std::to_string(pick(2));
    event.id_required = pick(2) == 0;
    event.skip_supported = pick(2) == 0;
    expect_answer(event.ticket);
    s_.on(event);
  }
  std::string some_member() {
    if (s_.group.members.empty()) return "nobody";
    auto at = s_.group.members.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(pick(s_.group.members.size())));
    return at->first;
  }
  void join_known() {
    if (!s_.group.pending_joins.empty() && pick(2) == 0) {
      expect_answer(s_.join_again(s_.group.pending_joins.begin()->first));
    } else {
      expect_answer(s_.join_again(some_member(), pick(4) == 0 ? "other" : "m"));
    }
  }
  // Each leader's SyncGroup brings another assignment: which one a generation got shows.
  void sync() {
    const std::string member = some_member();
    std::map<std::string, std::string> assignments;
    const std::string mark = std::to_string(s_.group.generation) + "/" + std::to_string(next_assignment_++);
    for (const auto& [id, other] : s_.group.members) assignments[id] = mark;
    const Ticket ticket = s_.sync(member, assignments);
    expect_answer(ticket);
    synced_[ticket] = s_.group.generation;
  }
  void heartbeat() { static_cast<void>(s_.heartbeat(some_member())); }
  void leave() {
    if (pick(3) == 0) s_.leave(some_member());
  }
  void commit() {
    const std::string member = some_member();
    const Ticket ticket = s_.group.members.empty() ? s_.commit("", next_offset_, "t", -1) : s_.commit(member, next_offset_);
    expect_answer(ticket);
    committed_[ticket] = next_offset_++;
  }
  void finish_write() {
    if (!s_.writes.empty()) s_.finish_write(pick(10) == 0 ? Errc::unavailable : Errc::none);
  }

  // The soft state is lost; what is stored goes on. Whoever waited is told by the partition.
  void restart() {
    for (auto& write : std::exchange(s_.writes, {})) static_cast<void>(write);
    asked_.clear();
    synced_.clear();
    committed_.clear();
    s_.wake = base::MonoTime::max();
    if (const StoredGroup* stored = s_.stored.find("g")) {
      Restored restored = restore_group("g", *stored, s_.limits, s_.now);
      s_.group = std::move(restored.group);
      s_.take(std::move(restored.effects));
    } else {
      s_.group = Group{.id = "g"};
    }
  }

  void look() {
    for (auto at = synced_.begin(); at != synced_.end();) {
      const auto answer = s_.answers.find(at->first);
      if (answer == s_.answers.end()) {
        ++at;
        continue;
      }
      const auto& sync = std::get<SyncAnswer>(answer->second);
      if (sync.error == Errc::none && !sync.assignment.empty()) {
        const std::string text(sync.assignment.text());
        EXPECT_EQ(text.substr(0, text.find('/')), std::to_string(at->second)) << "an assignment of another generation";
        const auto [known, fresh] = assignment_of_.emplace(at->second, text);
        EXPECT_EQ(known->second, text) << "generation " << at->second << " has two assignments";
      }
      at = synced_.erase(at);
    }
    for (auto at = committed_.begin(); at != committed_.end();) {
      const auto answer = s_.answers.find(at->first);
      if (answer == s_.answers.end()) {
        ++at;
        continue;
      }
      const auto& list = std::get<ListAnswer>(answer->second);
      if (list.error == Errc::none && list.each.front() == Errc::none) {
        acked_ = std::max(acked_, at->second);
        stored_after_ack();
      }
      at = committed_.erase(at);
    }
    if (s_.group.state == State::dead && s_.writes.empty()) s_.group = Group{.id = "g"};  // as the partition does
  }
  // Offsets never go back: what was acknowledged is there, or something newer.
  void stored_after_ack() {
    const StoredGroup* stored = s_.stored.find("g");
    ASSERT_NE(stored, nullptr);
    const auto at = stored->offsets.find({.topic = "t", .partition = model::PartitionIndex(0)});
    ASSERT_NE(at, stored->offsets.end());
    EXPECT_GE(at->second.offset.value(), acked_);
  }

  // Nobody waits for ever.
  void settle() {
    for (int i = 0; i < 200; ++i) {
      while (!s_.writes.empty()) s_.finish_write();
      s_.advance(10s);
    }
    for (const Ticket ticket : asked_) EXPECT_TRUE(s_.answered(ticket)) << "ticket " << ticket << " is never answered";
    EXPECT_TRUE(s_.group.members.empty());
  }

  std::mt19937 random_;
  Subject s_;
  std::set<Ticket> asked_;
  std::map<Ticket, std::int32_t> synced_;
  std::map<Ticket, std::int64_t> committed_;
  std::map<std::int32_t, std::string> assignment_of_;
  int next_member_ = 0;
  int next_assignment_ = 0;
  std::int64_t next_offset_ = 1;
  std::int64_t acked_ = 0;
};

TEST(RandomLives, KeepTheRules) {
  for (unsigned seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace weir::groups

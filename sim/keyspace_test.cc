#include "sim/keyspace.h"

#include <gtest/gtest.h>

#include "runtime/testing/co_assert.h"
#include "sim/testing.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using base::Result;
using keyspace::Operation;
using keyspace::Txn;
using keyspace::TxnResult;
using runtime::Task;

struct KeyspaceMachine {
  explicit KeyspaceMachine(std::uint64_t seed = 1) : machine(seed), state(machine.world), door(state) {}
  SimMachine machine;
  KeyspaceState state;
  SimKeyspace door;
  Result<TxnResult> create(const std::string& key, const std::string& value) {
    return machine.run([&] {
      return door.txn({.compares = {{key, 0}}, .operations = {Operation::put(key, value)}}, machine.world.now() + 10s);
    });
  }
  std::string value(const std::string& key) {
    const auto it = state.entries().find(key);
    return it == state.entries().end() ? "<absent>" : it->second.value;
  }
};

TEST(SimKeyspace, EachFateDoesWhatItSays) {
  KeyspaceMachine m;
  m.state.profile() = {.refuse_ppm = 1'000'000};
  EXPECT_EQ(m.create("refused", "1").kind(), ErrorKind::retry);
  m.state.profile() = {.lose_request_ppm = 1'000'000};
  EXPECT_EQ(m.create("lost", "1").kind(), ErrorKind::unknown_outcome);
  m.state.profile() = {.lose_reply_ppm = 1'000'000};
  EXPECT_EQ(m.create("applied", "1").kind(), ErrorKind::unknown_outcome);
  m.state.profile() = {.apply_late_ppm = 1'000'000};
  EXPECT_EQ(m.create("late", "1").kind(), ErrorKind::unknown_outcome);
  EXPECT_EQ(m.value("applied"), "1");
  EXPECT_EQ(m.value("late"), "<absent>") << "a re-read now would see nothing";
  m.machine.world.run_for(late_txn_max + 1min);
  EXPECT_EQ(m.value("late"), "1");
  EXPECT_EQ(m.value("refused"), "<absent>");
  EXPECT_EQ(m.value("lost"), "<absent>");
}

TEST(SimKeyspace, ALateTransactionWhoseCompareBrokeIsRefused) {
  KeyspaceMachine m;
  m.state.profile() = {.apply_late_ppm = 1'000'000};
  EXPECT_EQ(m.create("k", "late").kind(), ErrorKind::unknown_outcome);
  m.state.profile() = {};
  const auto winner = m.create("k", "winner");
  ASSERT_TRUE(winner.has_value() && winner->succeeded);
  m.machine.world.run_for(late_txn_max + 1min);
  EXPECT_EQ(m.value("k"), "winner");
  EXPECT_EQ(m.state.late_transactions(), 0U);
}

TEST(SimKeyspace, AnOutageFailsEverythingAndPasses) {
  KeyspaceMachine m;
  m.state.outage(1min);
  EXPECT_FALSE(m.create("k", "v").has_value());
  m.machine.world.run_for(1min);
  EXPECT_TRUE(m.create("k", "v").has_value());
  EXPECT_EQ(m.machine.world.faults().fired(Fault::keyspace_outage), 1U);
}

Task<void> collect_changes(SimKeyspace* door, std::vector<std::string>* seen, ErrorKind* end) {
  auto watch = door->watch("a/", 0);
  CO_ASSERT_OK(watch);
  for (;;) {
    auto events = co_await (*watch)->next(runtime::no_deadline, nullptr);
    if (!events) {
      *end = events.kind();
      co_return;
    }
    for (const auto& event : *events) seen->push_back(event.entry.key);
  }
}
TEST(SimKeyspace, AWatchSeesEachChangeOnceAndBreaksWhenToldTo) {
  KeyspaceMachine m;
  std::vector<std::string> seen;
  ErrorKind end = ErrorKind::invalid;
  m.machine.begin([&] { return collect_changes(&m.door, &seen, &end); });
  for (const char* key : {"a/1", "b/1", "a/2"}) ASSERT_TRUE(m.create(key, "v").has_value());
  m.machine.world.run_for(1s);
  EXPECT_EQ(seen, (std::vector<std::string>{"a/1", "a/2"}));
  m.state.profile().break_watch_ppm = 1'000'000;
  ASSERT_TRUE(m.create("a/3", "v").has_value());
  m.machine.world.run_for(1s);
  EXPECT_EQ(end, ErrorKind::retry);
  EXPECT_EQ(m.machine.world.faults().fired(Fault::keyspace_watch_broken), 1U);
}

TEST(SimKeyspace, AWatchOfADeadProcessCostsNothingAnyMore) {
  KeyspaceMachine m;
  std::vector<std::string> seen;
  ErrorKind end = ErrorKind::invalid;
  m.machine.begin([&] { return collect_changes(&m.door, &seen, &end); });
  m.machine.world.run_for(1ms);
  m.machine.process.kill();
  ASSERT_TRUE(m.create("a/1", "v").has_value());
  m.machine.world.run_for(1s);
  EXPECT_TRUE(seen.empty());
}

Task<void> txn_and_die(SimKeyspace* door) {
  (void)co_await door->txn({.compares = {}, .operations = {Operation::put("k", "v")}}, runtime::no_deadline);
  ENSURE(false, "the process is dead");
}
TEST(SimKeyspace, ATransactionOfAKilledProcessIsStillApplied) {
  KeyspaceMachine m;
  m.machine.begin([&] { return txn_and_die(&m.door); });
  m.machine.world.arm_crash(CrashPoint::keyspace_txn_issued, 1, [](Incarnation& victim, CrashPoint) { victim.owner().kill(); });
  m.machine.world.run_for(1min);
  EXPECT_FALSE(m.machine.process.running());
  EXPECT_EQ(m.value("k"), "v");
}

}  // namespace
}  // namespace weir::sim

#include "sim/store.h"

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "runtime/testing/co_assert.h"
#include "sim/testing.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using base::Result;
using runtime::Task;

struct StoreMachine {
  explicit StoreMachine(std::uint64_t seed = 1) : machine(seed), bucket(machine.world), store(bucket) {}
  SimMachine machine;
  Bucket bucket;
  SimStore store;
  Result<void> put(const std::string& key, std::string_view text, store::PutOptions options = {}) {
    const bytes::BufferList body(1, bytes::Buffer::copy_of(text));
    options.crc32c = bytes::crc32c(bytes::as_bytes(text));
    return machine.run([&] { return store.put(key, body, options); });
  }
  Result<bytes::Buffer> get(const std::string& key) {
    return machine.run([&] { return store.get(key, 0, 0, {}); });
  }
  base::MonoTime in(base::Duration d) { return machine.world.now() + d; }
};

TEST(SimStore, ARefusedPutIsNotApplied) {
  StoreMachine m;
  m.bucket.profile().refuse_ppm = 1'000'000;
  const auto put = m.put("a", "1");
  ASSERT_FALSE(put.has_value());
  EXPECT_EQ(put.kind(), ErrorKind::retry);
  m.machine.world.run_for(4h);
  EXPECT_TRUE(m.bucket.objects().empty());
}

TEST(SimStore, DamagedPutsAndRefusedKeysAreNotApplied) {
  StoreMachine m;
  m.bucket.profile().damaged_put_ppm = 1'000'000;
  EXPECT_EQ(m.put("a", "1").kind(), ErrorKind::corrupt);
  m.bucket.profile() = {.refuse_keys_ppm = 1'000'000};
  EXPECT_EQ(m.put("a", "1").kind(), ErrorKind::invalid);
  EXPECT_EQ(m.get("a").kind(), ErrorKind::invalid);
  EXPECT_TRUE(m.bucket.objects().empty());
  EXPECT_EQ(m.machine.world.faults().fired(Fault::store_damaged_put), 1U);
  EXPECT_EQ(m.machine.world.faults().fired(Fault::store_keys_refused), 2U);
}

TEST(SimStore, AnOutageCountsOnlyWhenItLastedToItsEnd) {
  StoreMachine m;
  m.bucket.outage(60min);
  EXPECT_FALSE(m.put("a", "1").has_value());
  m.bucket.heal();
  EXPECT_TRUE(m.put("a", "1").has_value());
  m.machine.world.run_for(2h);
  EXPECT_EQ(m.machine.world.faults().fired(Fault::store_outage), 0U);
  m.bucket.outage(60min);
  m.machine.world.run_for(59min);
  EXPECT_FALSE(m.put("b", "1").has_value());
  m.machine.world.run_for(2min);
  EXPECT_TRUE(m.put("b", "1").has_value());
  EXPECT_EQ(m.machine.world.faults().fired(Fault::store_outage), 1U);
}

TEST(SimStore, AStaleListShowsNamesAsTheyWere) {
  StoreMachine m;
  ASSERT_TRUE(m.put("a/old", "1").has_value());
  ASSERT_TRUE(m.put("a/gone", "22").has_value());
  m.machine.world.run_for(10min);
  ASSERT_TRUE(m.put("a/new", "333").has_value());
  ASSERT_TRUE(m.machine.run([&] { return m.store.remove({"a/gone"}, {}); }).has_value());
  m.machine.world.run_for(1min);
  const auto names = [&](const std::string& after) {
    std::string all;
    const auto page = m.machine.run([&] { return m.store.list("a/", after, {}); });
    for (const auto& object : page->objects) all += object.key + ":" + std::to_string(object.size_bytes) + " ";
    return all;
  };
  EXPECT_EQ(names(""), "a/new:3 a/old:1 ");
  m.bucket.profile() = {.stale_list_ppm = 1'000'000, .stale_max = 4min};
  bool stale = false;
  for (int i = 0; i < 50 && !stale; ++i) stale = names("") == "a/gone:2 a/old:1 ";
  EXPECT_TRUE(stale);
  stale = false;
  for (int i = 0; i < 50 && !stale; ++i) stale = names("a/gone") == "a/old:1 ";
  EXPECT_TRUE(stale);
}

TEST(SimStore, HasAClockOfItsOwn) {
  StoreMachine m;
  m.bucket.profile().clock_ahead_ms = -5000;
  EXPECT_EQ(m.store.now_ms(), m.machine.world.wall_ms() - 5000);
  EXPECT_EQ(m.machine.world.faults().fired(Fault::store_clock_off), 1U);
}

TEST(SimStore, ATimeoutMeansNothingAppliedOrAppliedOrAppliedLater) {
  StoreMachine m;
  m.bucket.profile().lose_request_ppm = 1'000'000;
  EXPECT_EQ(m.put("lost", "1").kind(), ErrorKind::unknown_outcome);
  m.bucket.profile() = {.lose_reply_ppm = 1'000'000};
  EXPECT_EQ(m.put("applied", "1").kind(), ErrorKind::unknown_outcome);
  m.bucket.profile() = {.apply_late_ppm = 1'000'000};
  EXPECT_EQ(m.put("late", "1").kind(), ErrorKind::unknown_outcome);
  m.bucket.profile() = {};
  EXPECT_EQ(m.bucket.objects().size(), 1U);
  EXPECT_EQ(m.get("late").kind(), ErrorKind::not_found);
  EXPECT_EQ(m.get("applied")->text(), "1");
  m.machine.world.run_for(late_put_max + 1min);
  EXPECT_EQ(m.get("late")->text(), "1");
  EXPECT_EQ(m.get("lost").kind(), ErrorKind::not_found);
  EXPECT_EQ(m.bucket.late_requests(), 0U);
}

TEST(SimStore, ALateConditionalPutIsJudgedWhenItIsApplied) {
  StoreMachine m;
  m.bucket.profile().apply_late_ppm = 1'000'000;
  EXPECT_EQ(m.put("k", "late", {.if_none_match = true}).kind(), ErrorKind::unknown_outcome);
  m.bucket.profile() = {};
  ASSERT_TRUE(m.put("k", "winner", {.if_none_match = true}));
  m.machine.world.run_for(late_put_max + 1min);
  EXPECT_EQ(m.get("k")->text(), "winner");
  EXPECT_EQ(m.bucket.events().size(), 1U);
}

TEST(SimStore, ABrownoutFailsEverythingAndPasses) {
  StoreMachine m;
  ASSERT_TRUE(m.put("k", "v"));
  m.bucket.brown_out(1min);
  const base::MonoTime end = m.in(1min);
  int failures = 0;
  while (m.machine.world.now() < end) {
    const auto got = m.get("k");
    if (m.machine.world.now() >= end) break;
    ASSERT_FALSE(got.has_value());
    ASSERT_EQ(got.kind(), ErrorKind::retry);
    ++failures;
  }
  EXPECT_GT(failures, 3);
  EXPECT_EQ(m.get("k")->text(), "v");
}

TEST(SimStore, TheDeadlineEndsAWait) {
  StoreMachine m;
  m.bucket.profile() = {.lose_request_ppm = 1'000'000};
  const base::MonoTime begin = m.machine.world.now();
  EXPECT_EQ(m.put("k", "v", {.deadline = m.in(100ms)}).kind(), ErrorKind::unknown_outcome);
  EXPECT_EQ(m.machine.world.now() - begin, 100ms);
}

TEST(SimStore, ADamagedReadDamagesTheAnswerNotTheObject) {
  StoreMachine m;
  ASSERT_TRUE(m.put("k", "0123456789"));
  m.bucket.profile().damaged_read_ppm = 1'000'000;
  EXPECT_NE(m.get("k")->text(), "0123456789");
  m.bucket.profile().damaged_read_ppm = 0;
  EXPECT_EQ(m.get("k")->text(), "0123456789");
}

TEST(SimStore, ALostReplyOfARemovalMayLeaveSomeOfTheKeys) {
  bool some = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    StoreMachine m(seed);
    std::vector<std::string> keys;
    for (int i = 0; i < 5; ++i) {
      keys.push_back("k" + std::to_string(i));
      ASSERT_TRUE(m.put(keys.back(), "v"));
    }
    m.bucket.profile().lose_reply_ppm = 1'000'000;
    const auto removed = m.machine.run([&] { return m.store.remove(keys, {}); });
    ASSERT_EQ(removed.kind(), ErrorKind::unknown_outcome);
    some = some || (!m.bucket.objects().empty() && m.bucket.objects().size() < 5);
  }
  EXPECT_TRUE(some);
}

Task<void> put_and_die(SimStore* store) {
  const bytes::BufferList body(1, bytes::Buffer::copy_of("v"));
  (void)co_await store->put("k", body, {.crc32c = bytes::crc32c(bytes::as_bytes("v"))});
  ENSURE(false, "the process is dead");
}
TEST(SimStore, APutOfAKilledProcessIsStillApplied) {
  StoreMachine m;
  m.machine.begin([&] { return put_and_die(&m.store); });
  m.machine.world.arm_crash(CrashPoint::store_put_issued, 1, [](Incarnation& victim, CrashPoint) { victim.owner().kill(); });
  m.machine.world.run_for(1min);
  EXPECT_FALSE(m.machine.process.running());
  EXPECT_TRUE(m.bucket.objects().contains("k"));
}

}  // namespace
}  // namespace weir::sim

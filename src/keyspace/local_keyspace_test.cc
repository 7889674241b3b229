// What LocalKeyspace does with a journal that is slow, fails and comes back.
#include "keyspace/local_keyspace.h"

#include <gtest/gtest.h>

#include "keyspace/metrics_decl.h"
#include "runtime/testing/manual_runtime.h"

namespace weir::keyspace {
namespace {

using base::ErrorKind;

/// A journal whose next appends the test decides; it remembers what became durable.
class ScriptedJournal final : public Journal {
 public:
  struct Disk {
    core::EntryMap entries;
    Revision revision = 0;
    int appends = 0;
    int reopens = 0;
    bool append_fails = false;
    bool failed_append_lands = false;
    bool reopen_fails = false;
    base::Duration takes{};
  };
  explicit ScriptedJournal(Disk& disk) : disk_(disk) {}
  runtime::Task<base::Result<void>> append(Changes changes, Revision revision) override {
    ++disk_.appends;
    co_await runtime::sleep_for(disk_.takes);
    if (!disk_.append_fails || disk_.failed_append_lands) {
      for (auto& [key, entry] : changes) {
        if (entry) {
          disk_.entries.insert_or_assign(key, *entry);
        } else {
          disk_.entries.erase(key);
        }
      }
      disk_.revision = revision;
    }
    if (disk_.append_fails) co_return base::fail(ErrorKind::io, "the disk is gone");
    co_return base::Result<void>();
  }
  runtime::Task<base::Result<core::MapState>> reopen() override {
    ++disk_.reopens;
    if (disk_.reopen_fails) co_return base::fail(ErrorKind::io, "the disk is still gone");
    co_return core::MapState(disk_.entries, disk_.revision);
  }
  runtime::Task<void> close() override { co_return; }

 private:
  Disk& disk_;
};

class LocalKeyspaceTest : public ::testing::Test {
 public:
  ~LocalKeyspaceTest() override {
    manual.run(stop(&keyspace));
    manual.drain();
  }

 protected:
  static runtime::Task<bool> stop(LocalKeyspace* keyspace) {
    co_await keyspace->stop();
    co_return true;
  }
  base::Result<TxnResult> put(const std::string& key, const std::string& value,
                              base::Duration patience = std::chrono::seconds(60)) {
    return manual.run(keyspace.txn({.compares = {}, .operations = {Operation::put(key, value)}}, manual.now() + patience));
  }
  std::string value(const std::string& key) {
    auto read = manual.run(keyspace.range(key, key + '\0', 1, base::MonoTime::max()));
    return !read ? "<error>" : read->entries.empty() ? "<absent>" : read->entries[0].value;
  }
  runtime::testing::ManualRuntime manual;
  ScriptedJournal::Disk disk;
  LocalKeyspace keyspace{*manual.doors.shards[0], std::make_unique<ScriptedJournal>(disk), core::MapState(), "scripted",
                         manual.doors.metrics};
};

runtime::Task<void> put_and_count(LocalKeyspace* keyspace, std::string key, int* succeeded) {
  auto result =
      co_await keyspace->txn({.compares = {}, .operations = {Operation::put(std::move(key), "v")}}, base::MonoTime::max());
  if (result && result->succeeded) ++*succeeded;
}
runtime::Task<bool> put_many(LocalKeyspace* keyspace, int count, int* succeeded) {
  runtime::Scope scope;
  for (int i = 0; i < count; ++i) scope.spawn("put", put_and_count(keyspace, fmt::format("k{}", i), succeeded));
  co_await scope.join();
  co_return true;
}

TEST_F(LocalKeyspaceTest, WaitingTransactionsShareOneWrite) {
  disk.takes = std::chrono::milliseconds(1);
  int succeeded = 0;
  manual.run(put_many(&keyspace, 5'000, &succeeded));
  EXPECT_EQ(succeeded, 5'000);
  EXPECT_EQ(keyspace.last_known_revision(), 5'000);
  EXPECT_LE(disk.appends, 5'000 / static_cast<int>(batch_txns_max) + 10);
  EXPECT_EQ(manual.metrics.counter(txns_total, R"(result="applied")").value(), 5'000U);
  EXPECT_EQ(manual.metrics.counter(writes_total, {}).value(), static_cast<std::uint64_t>(disk.appends));
}

TEST_F(LocalKeyspaceTest, NothingIsVisibleBeforeItIsDurable) {
  disk.takes = std::chrono::seconds(10);
  auto timed_out = put("a", "1", std::chrono::seconds(1));
  ASSERT_FALSE(timed_out.has_value());
  EXPECT_EQ(timed_out.kind(), ErrorKind::unknown_outcome);
  EXPECT_EQ(value("a"), "<absent>");
  EXPECT_EQ(keyspace.last_known_revision(), 0);
  manual.advance(std::chrono::seconds(20));
  EXPECT_EQ(value("a"), "1") << "it was applied after all";
}

TEST_F(LocalKeyspaceTest, ATransactionThatNeverGotItsTurnIsCertainlyNotApplied) {
  disk.takes = std::chrono::seconds(10);
  int succeeded = 0;
  auto both = [](LocalKeyspace* keyspace, int* first, base::MonoTime soon) -> runtime::Task<base::Result<TxnResult>> {
    runtime::Scope scope;
    scope.spawn("first", put_and_count(keyspace, "first", first));
    co_await runtime::sleep_for(std::chrono::milliseconds(1));
    auto second = co_await keyspace->txn({.compares = {}, .operations = {Operation::put("second", "v")}}, soon);
    co_await scope.join();
    co_return second;
  };
  auto second = manual.run(both(&keyspace, &succeeded, manual.now() + std::chrono::seconds(1)));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.kind(), ErrorKind::cancelled);
  EXPECT_EQ(succeeded, 1);
  manual.advance(std::chrono::seconds(60));
  EXPECT_EQ(value("second"), "<absent>");
}

TEST_F(LocalKeyspaceTest, AFailedWriteIsDecidedByReopening) {
  for (const bool landed : {false, true}) {
    const std::string key = landed ? "landed" : "lost";
    ASSERT_TRUE(put("before" + key, "0").has_value());
    disk.append_fails = true;
    disk.failed_append_lands = landed;
    auto failed = put(key, "1");
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.kind(), ErrorKind::unknown_outcome);
    EXPECT_EQ(value("before" + key), "0") << "what was durable stays readable";
    auto meanwhile = put("other", "1");
    ASSERT_FALSE(meanwhile.has_value());
    EXPECT_EQ(meanwhile.kind(), ErrorKind::retry) << "certainly not applied: nothing was sent";
    disk.append_fails = false;
    disk.reopen_fails = true;
    manual.advance(reopen_pause);
    EXPECT_FALSE(put("other", "1").has_value());
    disk.reopen_fails = false;
    manual.advance(reopen_pause);
    ASSERT_TRUE(put("after" + key, "2").has_value());
    EXPECT_EQ(value(key), landed ? "1" : "<absent>");
    EXPECT_EQ(value("other"), "<absent>");
    EXPECT_EQ(value("after" + key), "2");
  }
  EXPECT_EQ(manual.metrics.counter(reopens_total, R"(result="ok")").value(), 2U);
}

TEST_F(LocalKeyspaceTest, WatchesBreakWhenTheJournalIsReopened) {
  auto make = [](LocalKeyspace* from) -> runtime::Task<base::Result<std::unique_ptr<Watch>>> { co_return from->watch("", 0); };
  auto made = manual.run(make(&keyspace));
  ASSERT_TRUE(made.has_value());
  disk.append_fails = true;
  disk.failed_append_lands = true;
  EXPECT_FALSE(put("a", "1").has_value());
  disk.append_fails = false;
  manual.advance(reopen_pause);
  EXPECT_TRUE(put("b", "2").has_value());
  auto next = manual.run((*made)->next(base::MonoTime::max(), nullptr));
  ASSERT_FALSE(next.has_value());
  EXPECT_EQ(next.kind(), ErrorKind::retry);
  auto drop = [](std::unique_ptr<Watch> watch) -> runtime::Task<bool> {
    watch.reset();
    co_return true;
  };
  manual.run(drop(std::move(*made)));
}

TEST_F(LocalKeyspaceTest, AJournalThatLostWhatWasAcknowledgedIsNeverUsedAgain) {
  ASSERT_TRUE(put("a", "1").has_value());
  disk.append_fails = true;
  EXPECT_FALSE(put("b", "2").has_value());
  disk.append_fails = false;
  disk.entries.clear();
  disk.revision = 0;
  manual.advance(reopen_pause);
  EXPECT_FALSE(put("c", "3").has_value());
  manual.advance(std::chrono::hours(1));
  EXPECT_FALSE(put("c", "3").has_value());
  EXPECT_EQ(disk.reopens, 1);
}

TEST_F(LocalKeyspaceTest, AfterStopNothingIsBegun) {
  manual.run(stop(&keyspace));
  auto late = put("a", "1");
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.kind(), ErrorKind::cancelled);
}

}  // namespace
}  // namespace weir::keyspace

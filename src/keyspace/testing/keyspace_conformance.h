// keyspace/testing/keyspace_conformance.h: what every keyspace must do, as one gtest suite.
// Use:        struct MyHarness {
//               keyspace::Keyspace& keyspace();                    // empty at the start of each test
//               template <class T> T run(runtime::Task<T> task);   // drives the task to its end
//               base::MonoTime deadline();                         // some seconds from now
//               void compact(Revision revision);                   // drops watchable history up to revision
//             };
//             INSTANTIATE_TYPED_TEST_SUITE_P(My, KeyspaceConformance, MyHarness);
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "keyspace/keyspace.h"
#include "keyspace/testing/faulty_keyspace.h"

namespace weir::keyspace::testing {

template <class Harness>
class KeyspaceConformance : public ::testing::Test {
 protected:
  TxnResult txn(Txn txn) {
    auto result = harness.run(harness.keyspace().txn(std::move(txn), harness.deadline()));
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().text);
    return result.value_or(TxnResult{});
  }
  Revision put(const std::string& key, const std::string& value) {
    const TxnResult result = txn({.compares = {}, .operations = {Operation::put(key, value)}});
    EXPECT_TRUE(result.succeeded);
    return result.revision;
  }
  RangeResult range(const std::string& from, const std::string& to, std::size_t limit = range_page_max) {
    auto result = harness.run(harness.keyspace().range(from, to, limit, harness.deadline()));
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().text);
    return result.value_or(RangeResult{});
  }
  std::string value(const std::string& key) {
    const RangeResult result = range(key, key + '\0');
    return result.entries.empty() ? "<absent>" : result.entries.front().value;
  }
  Revision mod_revision(const std::string& key) {
    const RangeResult result = range(key, key + '\0');
    return result.entries.empty() ? 0 : result.entries.front().mod_revision;
  }
  /// The next transaction's events as text: "key=value@revision" or "-key@revision".
  std::vector<std::string> next(Watch& watch) {
    auto events = harness.run(watch.next(harness.deadline(), nullptr));
    if (!events) return {std::string("error ") + std::string(base::to_string(events.kind()))};
    std::vector<std::string> lines;
    for (const WatchEvent& event : *events) {
      lines.push_back(event.erased
                          ? "-" + event.entry.key + "@" + std::to_string(event.entry.mod_revision)
                          : event.entry.key + "=" + event.entry.value + "@" + std::to_string(event.entry.mod_revision));
    }
    return lines;
  }
  std::unique_ptr<Watch> watch(const std::string& prefix, Revision after) {
    auto made = harness.run(make_watch(&harness.keyspace(), prefix, after));
    EXPECT_TRUE(made.has_value());
    return made ? std::move(*made) : nullptr;
  }
  bool drop(std::unique_ptr<Watch> watch) { return harness.run(drop_watch(std::move(watch))); }
  static runtime::Task<base::Result<std::unique_ptr<Watch>>> make_watch(Keyspace* keyspace, std::string prefix,
                                                                        Revision after) {
    co_return keyspace->watch(std::move(prefix), after);
  }
  static runtime::Task<bool> drop_watch(std::unique_ptr<Watch> watch) {
    watch.reset();
    co_return true;
  }
  Harness harness;
};
TYPED_TEST_SUITE_P(KeyspaceConformance);

TYPED_TEST_P(KeyspaceConformance, PutsAreReadBackWithGrowingRevisions) {
  const Revision first = this->put("a", "1");
  const Revision second = this->put("b", std::string("\0\xFF raw", 6));
  EXPECT_GT(first, 0);
  EXPECT_GT(second, first);
  EXPECT_EQ(this->value("a"), "1");
  EXPECT_EQ(this->value("b"), std::string("\0\xFF raw", 6));
  EXPECT_EQ(this->mod_revision("a"), first);
  EXPECT_EQ(this->mod_revision("b"), second);
  const Revision third = this->put("a", "2");
  EXPECT_GT(third, second);
  EXPECT_EQ(this->mod_revision("a"), third);
  EXPECT_EQ(this->harness.keyspace().last_known_revision(), third);
}

TYPED_TEST_P(KeyspaceConformance, ATxnIsAppliedWholeOrNotAtAll) {
  const Revision a = this->put("a", "1");
  const TxnResult lost = this->txn({.compares = {{.key = "a", .mod_revision = a}, {.key = "b", .mod_revision = a}},
                                    .operations = {Operation::put("a", "2"), Operation::put("c", "2")}});
  EXPECT_FALSE(lost.succeeded);
  EXPECT_EQ(lost.revision, a) << "a refused txn reports the revision it was judged at";
  EXPECT_EQ(this->value("a"), "1");
  EXPECT_EQ(this->value("c"), "<absent>");
  const TxnResult won = this->txn({.compares = {{.key = "a", .mod_revision = a}, {.key = "b", .mod_revision = 0}},
                                   .operations = {Operation::put("b", "2"), Operation::erase("a"), Operation::put("c", "3")}});
  ASSERT_TRUE(won.succeeded);
  EXPECT_EQ(this->value("a"), "<absent>");
  EXPECT_EQ(this->mod_revision("b"), won.revision);
  EXPECT_EQ(this->mod_revision("c"), won.revision) << "all keys of a txn share its revision";
}

TYPED_TEST_P(KeyspaceConformance, AComparesHistoryNotValue) {
  const Revision first = this->put("a", "same");
  const Revision second = this->put("a", "same");
  EXPECT_FALSE(
      this->txn({.compares = {{.key = "a", .mod_revision = first}}, .operations = {Operation::put("x", "")}}).succeeded);
  EXPECT_TRUE(this->txn({.compares = {{.key = "a", .mod_revision = second}}, .operations = {Operation::erase("a")}}).succeeded);
  EXPECT_TRUE(this->txn({.compares = {{.key = "a", .mod_revision = 0}}, .operations = {Operation::put("a", "new")}}).succeeded);
  EXPECT_GT(this->mod_revision("a"), second) << "a key that comes back has a new revision";
}

TYPED_TEST_P(KeyspaceConformance, ATxnThatChangesNothingSucceedsAtThePresentRevision) {
  const Revision a = this->put("a", "1");
  const TxnResult erased = this->txn({.compares = {}, .operations = {Operation::erase("nothing")}});
  EXPECT_TRUE(erased.succeeded);
  EXPECT_EQ(erased.revision, a);
  EXPECT_TRUE(this->txn({.compares = {{.key = "a", .mod_revision = a}}, .operations = {}}).succeeded);
  EXPECT_FALSE(this->txn({.compares = {{.key = "a", .mod_revision = a + 1}}, .operations = {}}).succeeded);
}

TYPED_TEST_P(KeyspaceConformance, RangesAreOrderedHalfOpenAndPaged) {
  for (const std::string& key : {"b", "a", "c/1", "c/10", "c/2", "d"}) this->put(key, "v" + std::string(key));
  this->put(std::string("c/\xFF\xFF", 4), "high");
  auto keys = [](const RangeResult& result) {
    std::vector<std::string> names;
    for (const KeyValue& entry : result.entries) names.push_back(entry.key);
    return names;
  };
  EXPECT_EQ(keys(this->range("b", "c/2")), (std::vector<std::string>{"b", "c/1", "c/10"}));
  EXPECT_EQ(keys(this->range("c/2", "")), (std::vector<std::string>{"c/2", "c/\xFF\xFF", "d"}));
  EXPECT_TRUE(this->range("e", "f").entries.empty());
  const RangeResult page = this->range("", "", 3);
  EXPECT_EQ(keys(page), (std::vector<std::string>{"a", "b", "c/1"}));
  EXPECT_TRUE(page.more);
  EXPECT_FALSE(this->range("c/2", "", 3).more) << "exactly as many as asked for is not more";
  auto under = this->harness.run(range_prefix(this->harness.keyspace(), "c/", this->harness.deadline()));
  ASSERT_TRUE(under.has_value());
  EXPECT_EQ(keys(*under), (std::vector<std::string>{"c/1", "c/10", "c/2", "c/\xFF\xFF"}));
}

TYPED_TEST_P(KeyspaceConformance, AllPagesOfALargePrefixAreRead) {
  constexpr int count = 2 * static_cast<int>(range_page_max) + 7;
  int at = 0;
  while (at < count) {
    Txn txn;
    for (std::size_t i = 0; i < txn_operations_max && at < count; ++i, ++at) {
      txn.operations.push_back(Operation::put(fmt::format("p/{:08}", at), std::to_string(at)));
    }
    ASSERT_TRUE(this->txn(std::move(txn)).succeeded);
  }
  this->put("q", "outside");
  auto all = this->harness.run(range_prefix(this->harness.keyspace(), "p/", this->harness.deadline()));
  ASSERT_TRUE(all.has_value());
  ASSERT_EQ(all->entries.size(), static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) EXPECT_EQ(all->entries[static_cast<std::size_t>(i)].value, std::to_string(i));
}

TYPED_TEST_P(KeyspaceConformance, WatchesSeeTheirPrefixTxnByTxnInOrder) {
  const Revision before = this->put("w/a", "0");
  auto watch = this->watch("w/", before);
  const Revision r1 = this->put("w/a", "1");
  this->put("x", "not watched");
  const TxnResult both =
      this->txn({.compares = {},
                 .operations = {Operation::put("w/b", "2"), Operation::erase("w/a"), Operation::put("y", "not watched")}});
  EXPECT_EQ(this->next(*watch), (std::vector<std::string>{fmt::format("w/a=1@{}", r1)}));
  EXPECT_EQ(this->next(*watch),
            (std::vector<std::string>{fmt::format("w/b=2@{}", both.revision), fmt::format("-w/a@{}", both.revision)}));
  EXPECT_TRUE(this->drop(std::move(watch)));
}

TYPED_TEST_P(KeyspaceConformance, AWatchBeginsWithThePastAfterItsRevision) {
  const Revision r1 = this->put("w/a", "1");
  const Revision r2 = this->put("w/a", "2");
  const Revision r3 = this->put("w/b", "3");
  auto watch = this->watch("w/", r1);
  EXPECT_EQ(this->next(*watch), (std::vector<std::string>{fmt::format("w/a=2@{}", r2)}));
  EXPECT_EQ(this->next(*watch), (std::vector<std::string>{fmt::format("w/b=3@{}", r3)}));
  const Revision r4 = this->put("w/c", "4");
  EXPECT_EQ(this->next(*watch), (std::vector<std::string>{fmt::format("w/c=4@{}", r4)}));
  EXPECT_TRUE(this->drop(std::move(watch)));
}

TYPED_TEST_P(KeyspaceConformance, AWatchFromACompactedRevisionBreaks) {
  const Revision r1 = this->put("w/a", "1");
  const Revision r2 = this->put("w/a", "2");
  const Revision r3 = this->put("w/a", "3");
  this->harness.compact(r2);
  auto broken = this->watch("w/", r1);
  EXPECT_EQ(this->next(*broken), (std::vector<std::string>{"error retry"}));
  auto whole = this->watch("w/", r2);
  EXPECT_EQ(this->next(*whole), (std::vector<std::string>{fmt::format("w/a=3@{}", r3)}));
  EXPECT_TRUE(this->drop(std::move(broken)));
  EXPECT_TRUE(this->drop(std::move(whole)));
}

TYPED_TEST_P(KeyspaceConformance, AWatchTellsThatNothingCame) {
  auto watch = this->watch("w/", 0);
  auto none = this->harness.run(watch->next(base::MonoTime{}, nullptr));
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.kind(), base::ErrorKind::cancelled);
  EXPECT_TRUE(this->drop(std::move(watch)));
}

TYPED_TEST_P(KeyspaceConformance, CallsPastTheirDeadlineAreNotBegun) {
  auto late = this->harness.run(
      this->harness.keyspace().txn({.compares = {}, .operations = {Operation::put("late", "1")}}, base::MonoTime{}));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.kind(), base::ErrorKind::cancelled);
  EXPECT_EQ(this->value("late"), "<absent>");
  auto range = this->harness.run(this->harness.keyspace().range("", "", 1, base::MonoTime{}));
  ASSERT_FALSE(range.has_value());
  EXPECT_EQ(range.kind(), base::ErrorKind::cancelled);
}

TYPED_TEST_P(KeyspaceConformance, LimitsAreAsserted) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Txn wide;
  for (std::size_t i = 0; i <= txn_operations_max; ++i) wide.operations.push_back(Operation::put(std::to_string(i), ""));
  EXPECT_DEATH(this->txn(std::move(wide)), "operations");
  EXPECT_DEATH(this->put("", "x"), "key of 0 bytes");
  EXPECT_DEATH(this->put("big", std::string(value_bytes_max + 1, 'x')), "value of");
  EXPECT_DEATH(this->txn({.compares = {}, .operations = {Operation::put("k", "1"), Operation::erase("k")}}), "twice");
  EXPECT_DEATH(this->range("", "", range_page_max + 1), "page of");
}

TYPED_TEST_P(KeyspaceConformance, TheLargestTxnAndValueFit) {
  Txn txn;
  for (std::size_t i = 0; i < txn_operations_max / 2; ++i) {
    txn.compares.push_back({.key = std::to_string(i), .mod_revision = 0});
    txn.operations.push_back(Operation::put(std::to_string(i), "x"));
  }
  EXPECT_TRUE(this->txn(std::move(txn)).succeeded);
  const std::string big(value_bytes_max, 'v');
  this->put("big", big);
  EXPECT_EQ(this->value("big"), big);
}

// The rule of protocols.md, 1, seen from a caller: after a lost reply, the same transaction sent again decides.
TYPED_TEST_P(KeyspaceConformance, ALostReplyIsDecidedBySendingTheSameTxnAgain) {
  for (const TxnFault fault : {TxnFault::drop, TxnFault::lose_reply, TxnFault::hold}) {
    FaultyKeyspace faulty(this->harness.keyspace());
    const std::string key = fmt::format("amb/{}", static_cast<int>(fault));
    faulty.choose = [fault](std::uint64_t number, const Txn&) { return number == 1 ? fault : TxnFault::none; };
    const Txn once{.compares = {{.key = key, .mod_revision = 0}}, .operations = {Operation::put(key, "mine")}};
    auto first = this->harness.run(faulty.txn(once, this->harness.deadline()));
    ASSERT_FALSE(first.has_value());
    EXPECT_EQ(first.kind(), base::ErrorKind::unknown_outcome);
    auto again = this->harness.run(faulty.txn(once, this->harness.deadline()));
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->succeeded, fault != TxnFault::lose_reply);
    EXPECT_EQ(this->value(key), "mine");
    const Revision decided = this->mod_revision(key);
    EXPECT_EQ(this->harness.run(faulty.apply_held()), 0U) << "a late copy must not be applied again";
    EXPECT_EQ(this->mod_revision(key), decided);
  }
}

REGISTER_TYPED_TEST_SUITE_P(KeyspaceConformance, PutsAreReadBackWithGrowingRevisions, ATxnIsAppliedWholeOrNotAtAll,
                            AComparesHistoryNotValue, ATxnThatChangesNothingSucceedsAtThePresentRevision,
                            RangesAreOrderedHalfOpenAndPaged, AllPagesOfALargePrefixAreRead,
                            WatchesSeeTheirPrefixTxnByTxnInOrder, AWatchBeginsWithThePastAfterItsRevision,
                            AWatchFromACompactedRevisionBreaks, AWatchTellsThatNothingCame, CallsPastTheirDeadlineAreNotBegun,
                            LimitsAreAsserted, TheLargestTxnAndValueFit, ALostReplyIsDecidedBySendingTheSameTxnAgain);

}  // namespace weir::keyspace::testing

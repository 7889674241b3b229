// Meta on a keyspace that behaves, and the rules of its mutations.
#include "meta/meta.h"

#include <set>

#include "meta/testing/meta_fixture.h"

namespace weir::meta::testing {
namespace {

using base::ErrorKind;

ObjectRecord object_record(std::uint64_t session, std::uint64_t commit, std::uint64_t object) {
  ObjectRecord record;
  record.session = id<model::SessionId>(session);
  record.commit = model::CommitNumber(commit);
  record.id = id<model::ObjectId>(object);
  record.key = fmt::format("ab/objects/{}", object);
  record.size_bytes = 1'000'000;
  record.footer_position = 900'000;
  record.footer_bytes = 100'000;
  record.footer_crc = 0xDEADBEEF;
  record.created_ms = 1'800'000'000'002;
  return record;
}

TEST(Meta, AClusterIsMadeOnceAndFoundAgain) {
  World world;
  Broker first(world);
  auto made = world.run(first.meta.open_cluster(id<model::ClusterId>(1)));
  ASSERT_TRUE(made.has_value());
  Broker second(world);
  auto found = world.run(second.meta.open_cluster(id<model::ClusterId>(2)));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id, made->id);
  EXPECT_EQ(found->format_level, 1U);
}

TEST(Meta, AForeignKeyspaceIsRefused) {
  World world;
  ASSERT_TRUE(world.run(
      world.memory->txn({.compares = {}, .operations = {keyspace::Operation::put("their/key", "x")}}, base::MonoTime::max())));
  Broker broker(world);
  auto opened = world.run(broker.meta.open_cluster(id<model::ClusterId>(1)));
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.kind(), ErrorKind::corrupt);
  EXPECT_NE(opened.error().text.find("their/key"), std::string::npos);
}

TEST(Meta, MutationsNeedALiveSession) {
  World world;
  Broker old(world);
  ASSERT_TRUE(old.begin(1));
  auto topic = world.run(old.meta.create_topic(topic_record("t", 1)));
  ASSERT_TRUE(topic.has_value());
  auto own = world.run(old.meta.open_epoch(partition(1, 0), {}, model::Offset(0), model::Offset(0)));
  ASSERT_TRUE(own.has_value());
  Broker next(world);  // the same node again: it seals the former session
  ASSERT_TRUE(next.begin(2));
  const auto before = world.content();

  EXPECT_EQ(world.run(old.meta.session_live()).value_or(true), false);
  EXPECT_EQ(world.run(old.meta.create_topic(topic_record("u", 2))).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.update_topic(*topic)).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.delete_topic(*topic)).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.open_epoch(partition(1, 0), *own, model::Offset(5), model::Offset(0))).error().kind,
            ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.open_epoch(partition(1, 1), {}, model::Offset(0), model::Offset(0))).error().kind,
            ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.set_log_starts({{partition(1, 0), model::Offset(3)}})).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.commit_upload(object_record(1, 1, 1))).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.register_segments(1)).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.allocate_producer_ids(10)).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.drop_garbage({GarbageRecord{.id = id<model::ObjectId>(1)}})).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.run(old.meta.drop_session(id<model::SessionId>(1))).error().kind, ErrorKind::fenced);
  EXPECT_EQ(world.content(), before) << "a sealed session changed something";
  EXPECT_EQ(world.run(next.meta.session_live()).value_or(false), true);
}

TEST(Meta, ASessionIdIsUsedOnce) {
  World world;
  Broker first(world);
  ASSERT_TRUE(first.begin(1));
  Broker second(world);
  auto snapshot = second.load();
  auto begun = world.run(second.meta.begin_session(session_record(1), {}));
  ASSERT_FALSE(begun.has_value());
  EXPECT_EQ(begun.kind(), ErrorKind::exists);
}

TEST(Meta, AnotherNodesSessionIsNotSealed) {
  World world;
  Broker other(world);
  ASSERT_TRUE(world.run(other.meta.open_cluster(id<model::ClusterId>(1))));
  ASSERT_TRUE(world.run(other.meta.begin_session(session_record(1, 7), {})));
  Broker broker(world);
  SessionRecord claimed = session_record(1, 1);
  EXPECT_EQ(world.run(broker.meta.begin_session(session_record(2), {claimed})).error().kind, ErrorKind::invalid);
  EXPECT_EQ(world.run(other.meta.session_live()).value_or(false), true);
}

TEST(Meta, SegmentsAreRegisteredWithoutMovingTheFence) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  ASSERT_TRUE(world.run(broker.meta.register_segments(1)));
  ASSERT_TRUE(world.run(broker.meta.register_segments(4)));
  EXPECT_TRUE(world.run(broker.meta.create_topic(topic_record("t", 1))));
  const Snapshot snapshot = broker.load();
  ASSERT_EQ(snapshot.sessions.size(), 1U);
  EXPECT_EQ(snapshot.sessions[0].segment_count, 4U);
  EXPECT_EQ(snapshot.sessions[0].state, SessionState::live);
}

TEST(Meta, SealedSessionsAreDroppedAndLiveOnesAreNot) {
  World world;
  Broker first(world);
  ASSERT_TRUE(first.begin(1));
  ASSERT_TRUE(world.run(first.meta.register_segments(2)));
  ASSERT_TRUE(world.run(first.meta.commit_upload(object_record(1, 1, 1))));
  Broker second(world);
  ASSERT_TRUE(second.begin(2));
  EXPECT_TRUE(world.run(second.meta.drop_session(id<model::SessionId>(1))));
  EXPECT_TRUE(world.run(second.meta.drop_session(id<model::SessionId>(1)))) << "dropping again changes nothing";
  const Snapshot snapshot = second.load();
  ASSERT_EQ(snapshot.sessions.size(), 1U);
  EXPECT_EQ(snapshot.sessions[0].id, id<model::SessionId>(2));
  EXPECT_EQ(snapshot.objects.size(), 1U) << "the objects of a dropped session stay";
  EXPECT_TRUE(world.keys_under("segs/").empty());
  Broker third(world);
  ASSERT_TRUE(world.run(third.meta.begin_session(session_record(3), {})));
  EXPECT_EQ(world.run(third.meta.drop_session(id<model::SessionId>(2))).error().kind, ErrorKind::invalid)
      << "session 2 is live";
  EXPECT_TRUE(world.run(second.meta.drop_session(id<model::SessionId>(2)))) << "a clean stop drops its own";
  EXPECT_EQ(world.run(second.meta.session_live()).value_or(true), false);
}

TEST(Meta, TopicsAreCreatedOnceUpdatedByRevisionAndDeletedWhole) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  TopicRecord wanted = topic_record("orders", 1, 2);
  wanted.assignments = {{1, 2}, {2, 1}};
  wanted.internal = true;
  auto made = world.run(broker.meta.create_topic(wanted));
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(world.run(broker.meta.create_topic(topic_record("orders", 2))).error().kind, ErrorKind::exists);

  TopicRecord changed = *made;
  changed.configs["retention.ms"] = "5";
  auto updated = world.run(broker.meta.update_topic(changed));
  ASSERT_TRUE(updated.has_value());
  EXPECT_GT(updated->revision, made->revision);
  EXPECT_EQ(world.run(broker.meta.update_topic(changed)).error().kind, ErrorKind::exists) << "built on an old revision";
  EXPECT_EQ(world.run(broker.meta.delete_topic(changed)).error().kind, ErrorKind::exists);

  const Snapshot snapshot = broker.load();
  ASSERT_TRUE(snapshot.topics.contains("orders"));
  const TopicRecord& read = snapshot.topics.at("orders");
  EXPECT_EQ(read.id, wanted.id);
  EXPECT_EQ(read.assignments, wanted.assignments);
  EXPECT_EQ(read.configs.at("retention.ms"), "5");
  EXPECT_TRUE(read.internal);
  EXPECT_EQ(read.revision, updated->revision);

  ASSERT_TRUE(world.run(broker.meta.open_epoch(partition(1, 0), {}, model::Offset(0), model::Offset(0))));
  ASSERT_TRUE(
      world.run(broker.meta.set_log_starts({{partition(1, 0), model::Offset(9)}, {partition(1, 1), model::Offset(1)}})));
  ASSERT_TRUE(world.run(broker.meta.delete_topic(*updated)));
  EXPECT_TRUE(world.keys_under("topic/").empty());
  EXPECT_TRUE(world.keys_under("own/").empty());
  EXPECT_TRUE(world.keys_under("start/").empty());
  EXPECT_TRUE(world.keys_under("del/").empty());
  EXPECT_EQ(world.run(broker.meta.delete_topic(*updated)).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(world.run(broker.meta.create_topic(topic_record("orders", 3)))) << "the name is free again";
}

TEST(Meta, SettingsAreReplacedByRevisionAndGoWithTheirLastValue) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  auto all = world.run(broker.meta.find_config(ConfigKind::broker, ""));
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->revision, 0);
  all->values["log.retention.ms"] = "5";
  auto put = world.run(broker.meta.put_config(*all));
  ASSERT_TRUE(put.has_value());
  EXPECT_EQ(world.run(broker.meta.put_config(*all)).error().kind, ErrorKind::exists) << "built on an old revision";
  ASSERT_TRUE(world.run(broker.meta.put_config({.kind = ConfigKind::group, .name = "a/b", .values = {{"x", "1"}}})));
  const Snapshot snapshot = broker.load();
  ASSERT_EQ(snapshot.configs.size(), 2U);
  EXPECT_EQ(snapshot.configs[0].kind, ConfigKind::broker);
  EXPECT_EQ(snapshot.configs[0].name, "");
  EXPECT_EQ(snapshot.configs[0].values.at("log.retention.ms"), "5");
  EXPECT_EQ(snapshot.configs[0].revision, put->revision);
  EXPECT_EQ(snapshot.configs[1].name, "a/b");
  put->values.clear();
  ASSERT_TRUE(world.run(broker.meta.put_config(*put)));
  EXPECT_EQ(world.keys_under("conf/").size(), 1U);
  EXPECT_EQ(
      world.run(broker.meta.put_config({.kind = ConfigKind::group, .name = std::string(2000, 'g'), .values = {{"x", "1"}}}))
          .error()
          .kind,
      ErrorKind::invalid);
}

TEST(Meta, TenThousandPartitionsAreOneTransaction) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  const std::uint64_t before = broker.faulty.txn_count();
  ASSERT_TRUE(world.run(broker.meta.create_topic(topic_record("wide", 1, 10'000))));
  EXPECT_EQ(broker.faulty.txn_count() - before, 1U);
}

TEST(Meta, ATopicTooLargeForTheKeyspaceIsInvalid) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  TopicRecord huge = topic_record("huge", 1, 100'000);
  huge.assignments.assign(100'000, {1, 2, 3});
  EXPECT_EQ(world.run(broker.meta.create_topic(huge)).error().kind, ErrorKind::invalid);
}

TEST(Meta, ADeletedTopicWithManyPartitionsLeavesNothing) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  auto topic = world.run(broker.meta.create_topic(topic_record("wide", 1, 500)));
  ASSERT_TRUE(topic.has_value());
  std::vector<std::pair<model::TopicPartition, model::Offset>> starts;
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(world.run(broker.meta.open_epoch(partition(1, i), {}, model::Offset(0), model::Offset(0))));
    starts.emplace_back(partition(1, i), model::Offset(i + 1));
  }
  ASSERT_TRUE(world.run(broker.meta.set_log_starts(starts)));
  EXPECT_EQ(broker.load().log_start.size(), 500U);
  ASSERT_TRUE(world.run(broker.meta.delete_topic(*topic)));
  EXPECT_TRUE(world.keys_under("own/").empty());
  EXPECT_TRUE(world.keys_under("start/").empty());
  EXPECT_TRUE(broker.load().leftovers.empty());
}

TEST(Meta, AnEpochIsOpenedFromTheRevisionThatWasRead) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  ASSERT_TRUE(world.run(broker.meta.create_topic(topic_record("t", 1))));
  auto first = world.run(broker.meta.open_epoch(partition(1, 2), {}, model::Offset(0), model::Offset(0)));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->epoch(), model::LeaderEpoch(1));
  auto second = world.run(broker.meta.open_epoch(partition(1, 2), *first, model::Offset(10), model::Offset(0)));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->epoch(), model::LeaderEpoch(2));
  EXPECT_EQ(second->history.size(), 2U);
  EXPECT_EQ(world.run(broker.meta.open_epoch(partition(1, 2), *first, model::Offset(10), model::Offset(0))).error().kind,
            ErrorKind::exists);
  const Snapshot snapshot = broker.load();
  EXPECT_EQ(snapshot.own.at(partition(1, 2)).history, second->history);
  EXPECT_EQ(snapshot.own.at(partition(1, 2)).revision, second->revision);
}

TEST(Meta, LogStartsOnlyMoveUp) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  ASSERT_TRUE(world.run(broker.meta.create_topic(topic_record("t", 1))));
  ASSERT_TRUE(
      world.run(broker.meta.set_log_starts({{partition(1, 0), model::Offset(5)}, {partition(1, 1), model::Offset(7)}})));
  ASSERT_TRUE(world.run(broker.meta.set_log_starts(
      {{partition(1, 0), model::Offset(3)}, {partition(1, 1), model::Offset(8)}, {partition(1, 1), model::Offset(6)}})));
  const Snapshot snapshot = broker.load();
  EXPECT_EQ(snapshot.log_start.at(partition(1, 0)), model::Offset(5));
  EXPECT_EQ(snapshot.log_start.at(partition(1, 1)), model::Offset(8));
}

TEST(Meta, CommitsAreNumberedAndObjectsComeInCommitOrder) {
  World world;
  Broker first(world);
  ASSERT_TRUE(first.begin(9));  // ids do not sort as sessions came
  for (std::uint64_t k = 1; k <= 12; ++k) ASSERT_TRUE(world.run(first.meta.commit_upload(object_record(9, k, k))));
  EXPECT_EQ(first.meta.last_commit(), model::CommitNumber(12));
  Broker second(world);
  ASSERT_TRUE(second.begin(2));
  EXPECT_EQ(second.meta.last_commit(), model::CommitNumber(0)) << "numbers are per session";
  ASSERT_TRUE(world.run(second.meta.commit_upload(object_record(2, 1, 13))));
  const Snapshot snapshot = second.load();
  ASSERT_EQ(snapshot.objects.size(), 13U);
  for (std::uint64_t i = 0; i < 13; ++i) EXPECT_EQ(snapshot.objects[i].id, id<model::ObjectId>(i + 1));
  EXPECT_EQ(snapshot.objects[3].key, "ab/objects/4");
  EXPECT_EQ(snapshot.objects[3].footer_crc, 0xDEADBEEFU);
  EXPECT_GT(snapshot.objects[3].revision, 0);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(static_cast<void>(world.run(second.meta.commit_upload(object_record(2, 3, 14)))), "commit 3 after 1");
}

TEST(Meta, AManifestMovesWithWhatItDropsAndNeverBack) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  ASSERT_TRUE(world.run(broker.meta.create_topic(topic_record("t", 1))));
  const auto record = [](std::uint64_t sequence, std::int64_t covers_to) {
    return ManifestRecord{.partition = partition(1, 2),
                          .sequence = sequence,
                          .covers_to = model::Offset(covers_to),
                          .page = id<model::ObjectId>(20 + sequence),
                          .key = fmt::format("m/{}", sequence),
                          .root_bytes = 10};
  };
  auto first = world.run(broker.meta.commit_manifest({}, record(1, 100), {}, 5));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(world.run(broker.meta.commit_manifest({}, record(1, 100), {}, 5)).error().kind, ErrorKind::exists);
  const std::vector<GarbageRecord> dropped = {{.id = id<model::ObjectId>(21), .key = "m/1"}};
  auto second = world.run(broker.meta.commit_manifest(*first, record(2, 200), dropped, 6));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(world.run(broker.meta.commit_manifest(*first, record(2, 300), {}, 7)).error().kind, ErrorKind::exists)
      << "it was built on a manifest that is not the present one";
  const Snapshot snapshot = broker.load();
  ASSERT_EQ(snapshot.manifests.size(), 1U);
  EXPECT_EQ(snapshot.manifests.at(partition(1, 2)).covers_to, model::Offset(200));
  EXPECT_EQ(snapshot.manifests.at(partition(1, 2)).revision, second->revision);
  ASSERT_EQ(snapshot.garbage.size(), 1U);
  EXPECT_EQ(snapshot.garbage[0].unlinked_ms, 6);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(static_cast<void>(world.run(broker.meta.commit_manifest(*second, record(3, 199), {}, 8))), "covers up to 199");

  // The topic goes, and man/P with it: what the manifest names is swept by its names. One that is committed beside the deletion is
  // erased at the next start.
  ASSERT_TRUE(world.run(broker.meta.delete_topic(snapshot.topics.at("t"))));
  EXPECT_TRUE(broker.load().manifests.empty());
  EXPECT_TRUE(broker.load().leftovers.empty());
  ASSERT_TRUE(world.run(broker.meta.commit_manifest({}, record(1, 100), {}, 9)));
  EXPECT_TRUE(broker.load().manifests.empty());
  EXPECT_EQ(broker.load().leftovers.size(), 1U);

  Broker next(world);
  ASSERT_TRUE(next.begin(2));
  EXPECT_TRUE(next.load().leftovers.empty());
  EXPECT_EQ(world.run(broker.meta.commit_manifest({}, record(1, 100), {}, 5)).error().kind, ErrorKind::fenced);
}

TEST(Meta, UnlinkedObjectsBecomeGarbageUntilDropped) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  std::vector<ObjectRecord> objects;
  for (std::uint64_t k = 1; k <= 3; ++k) objects.push_back(*world.run(broker.meta.commit_upload(object_record(1, k, k))));
  ASSERT_TRUE(world.run(broker.meta.unlink_objects({objects[0], objects[2]}, 42)));
  ASSERT_TRUE(world.run(broker.meta.unlink_objects({objects[0]}, 43))) << "again changes nothing";
  auto garbage = world.run(broker.meta.list_garbage());
  ASSERT_TRUE(garbage.has_value());
  ASSERT_EQ(garbage->size(), 2U);
  for (const GarbageRecord& record : *garbage) EXPECT_EQ(record.unlinked_ms, 42);
  EXPECT_EQ(broker.load().objects.size(), 1U);
  ASSERT_TRUE(world.run(broker.meta.drop_garbage(*garbage)));
  EXPECT_TRUE(broker.load().garbage.empty());
}

TEST(Meta, ProducerIdBlocksNeverOverlap) {
  World world;
  Broker first(world);
  ASSERT_TRUE(first.begin(1));
  EXPECT_EQ(world.run(first.meta.allocate_producer_ids(1000)).value_or(model::ProducerId(-1)), model::ProducerId(0));
  EXPECT_EQ(world.run(first.meta.allocate_producer_ids(10)).value_or(model::ProducerId(-1)), model::ProducerId(1000));
  Broker second(world);
  ASSERT_TRUE(second.begin(2));
  EXPECT_EQ(world.run(second.meta.allocate_producer_ids(1)).value_or(model::ProducerId(-1)), model::ProducerId(1010));
}

TEST(Meta, AKeyspaceThatComesBackIsWaitedFor) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  int refusals = 5;
  broker.faulty.choose = [&](std::uint64_t, const keyspace::Txn&) {
    return refusals-- > 0 ? keyspace::testing::TxnFault::refuse : keyspace::testing::TxnFault::none;
  };
  EXPECT_TRUE(world.run(broker.meta.create_topic(topic_record("t", 1))));
}

TEST(Meta, AKeyspaceThatStaysAwayIsReportedOrWaitedForAsTheCallNeeds) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  broker.faulty.choose = [](std::uint64_t, const keyspace::Txn&) { return keyspace::testing::TxnFault::refuse; };
  const base::MonoTime begun = world.manual.now();
  EXPECT_EQ(world.run(broker.meta.create_topic(topic_record("t", 1))).error().kind, ErrorKind::retry);
  EXPECT_LT(world.manual.now() - begun, std::chrono::seconds(40));
  // A commit must not be given up: it goes on for as long as the keyspace is away.
  int refusals = 10'000;
  broker.faulty.choose = [&](std::uint64_t, const keyspace::Txn&) {
    return refusals-- > 0 ? keyspace::testing::TxnFault::drop : keyspace::testing::TxnFault::none;
  };
  EXPECT_TRUE(world.run(broker.meta.commit_upload(object_record(1, 1, 1))));
  EXPECT_GT(world.manual.now() - begun, std::chrono::hours(1));
}

TEST(Meta, StopEndsWaiting) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  std::uint64_t seen = 0;
  broker.faulty.choose = [&](std::uint64_t, const keyspace::Txn&) {
    if (++seen == 100) broker.meta.stop();
    return keyspace::testing::TxnFault::drop;
  };
  EXPECT_EQ(world.run(broker.meta.commit_upload(object_record(1, 1, 1))).error().kind, ErrorKind::unknown_outcome);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(static_cast<void>(world.run(broker.meta.commit_upload(object_record(1, 1, 2)))), "sent again unchanged");
}

}  // namespace
}  // namespace weir::meta::testing

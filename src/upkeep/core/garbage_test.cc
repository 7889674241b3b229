#include "upkeep/core/garbage.h"

#include <gtest/gtest.h>

namespace weir::upkeep {
namespace {

template <class Id>
Id id(std::uint64_t n) {
  return Id{model::Uuid::from_random(7, n)};
}
model::TopicPartition partition(std::uint64_t topic, std::int32_t index) {
  return {.topic = id<model::TopicId>(topic), .partition = model::PartitionIndex(index)};
}
object::PartitionEntry entry(std::uint64_t topic, std::int32_t index, std::int64_t end) {
  object::PartitionEntry made;
  made.partition = partition(topic, index);
  made.end_offset = model::Offset(end);
  return made;
}

TEST(Garbage, AnObjectIsDeadOnlyWhenEveryEntryIs) {
  object::Footer footer;
  footer.entries = {entry(1, 0, 10), entry(2, 0, 20)};
  LiveData live{.topics = {id<model::TopicId>(1), id<model::TopicId>(2)}};
  EXPECT_FALSE(is_dead(footer, live)) << "no log start stated: it is 0";
  live.log_start[partition(1, 0)] = model::Offset(10);
  EXPECT_FALSE(is_dead(footer, live));
  live.log_start[partition(2, 0)] = model::Offset(19);
  EXPECT_FALSE(is_dead(footer, live)) << "one record is still readable";
  live.log_start[partition(2, 0)] = model::Offset(20);
  EXPECT_TRUE(is_dead(footer, live));
  live.log_start.erase(partition(2, 0));
  live.topics.erase(id<model::TopicId>(2));
  EXPECT_TRUE(is_dead(footer, live)) << "its topic is deleted";
}

TEST(Garbage, ARecentObjectDiesWhenAllItsManifestsHavePassedIt) {
  object::Footer footer;
  footer.entries = {entry(1, 0, 10), entry(1, 1, 20), entry(2, 0, 30)};
  LiveData live{.topics = {id<model::TopicId>(1), id<model::TopicId>(2)}};
  live.covers_to[partition(1, 0)] = model::Offset(10);
  live.covers_to[partition(1, 1)] = model::Offset(19);
  live.log_start[partition(2, 0)] = model::Offset(30);
  EXPECT_FALSE(is_dead(footer, live)) << "one record of one partition is found through it only";
  live.covers_to[partition(1, 1)] = model::Offset(20);
  EXPECT_TRUE(is_dead(footer, live));
}

TEST(Garbage, OrphansTable) {
  const NamesView view{.cluster = id<model::ClusterId>(1),
                       .incarnation = 3,
                       .own_session = id<model::SessionId>(1),
                       .own_last_commit = model::CommitNumber(5),
                       .unsealed = {id<model::SessionId>(1), id<model::SessionId>(2)},
                       .referenced = {id<model::ObjectId>(100)}};
  const object::ObjectKey base{.cluster = view.cluster,
                               .incarnation = 3,
                               .session = id<model::SessionId>(9),
                               .commit = model::CommitNumber(1),
                               .id = id<model::ObjectId>(50)};
  const auto with = [&](auto change) {
    object::ObjectKey name = base;
    change(name);
    return is_orphan(name, view);
  };
  EXPECT_TRUE(is_orphan(base, view)) << "a session that is gone";
  EXPECT_FALSE(with([](object::ObjectKey& n) { n.id = id<model::ObjectId>(100); })) << "referenced";
  EXPECT_FALSE(with([](object::ObjectKey& n) { n.incarnation = 2; })) << "of before a restore";
  EXPECT_FALSE(with([](object::ObjectKey& n) { n.cluster = id<model::ClusterId>(2); }));
  EXPECT_FALSE(with([](object::ObjectKey& n) { n.session = id<model::SessionId>(2); })) << "a live session cleans its own";
  EXPECT_FALSE(with([](object::ObjectKey& n) {
    n.session = id<model::SessionId>(1);
    n.commit = model::CommitNumber(6);
  })) << "ours, on its way";
  EXPECT_TRUE(with([](object::ObjectKey& n) {
    n.session = id<model::SessionId>(1);
    n.commit = model::CommitNumber(5);
  })) << "ours, its number went to another object";
}

TEST(Garbage, OrphansOfManifestsTable) {
  const auto session = [](std::uint64_t n) { return id<model::SessionId>(n); };
  NamesView view{.cluster = id<model::ClusterId>(1),
                 .incarnation = 3,
                 .own_session = session(1),
                 .unsealed = {session(1)},
                 .referenced = {id<model::ObjectId>(100)},
                 .topics = {id<model::TopicId>(1)}};
  view.manifests[partition(1, 0)] = {
      .sequence = 7, .writers = {{.first_sequence = 1, .session = session(8)}, {.first_sequence = 5, .session = session(9)}}};
  view.manifests[partition(1, 2)] = {};
  const auto orphan = [&](std::uint64_t by, std::uint64_t sequence, model::TopicPartition of, std::uint64_t object = 50) {
    return is_orphan({.cluster = view.cluster,
                      .incarnation = 3,
                      .session = session(by),
                      .commit = model::CommitNumber(sequence),
                      .id = id<model::ObjectId>(object),
                      .manifest_of = of},
                     view);
  };
  EXPECT_FALSE(orphan(8, 4, partition(1, 0))) << "a committed edit of its own";
  EXPECT_TRUE(orphan(8, 5, partition(1, 0))) << "it crashed, and the next session's edit took the number";
  EXPECT_FALSE(orphan(9, 7, partition(1, 0)));
  EXPECT_TRUE(orphan(9, 8, partition(1, 0))) << "never committed, and nobody can any more";
  EXPECT_FALSE(orphan(1, 8, partition(1, 0))) << "ours, on its way";
  EXPECT_TRUE(orphan(1, 6, partition(1, 0))) << "ours, but the manifest is past that number";
  view.manifests[partition(1, 3)] = {.sequence = 9,
                                     .writers = {{.first_sequence = 1, .session = session(1)},
                                                 {.first_sequence = 7, .session = {}},
                                                 {.first_sequence = 9, .session = session(1)}}};
  EXPECT_FALSE(orphan(1, 6, partition(1, 3)));
  EXPECT_TRUE(orphan(1, 7, partition(1, 3))) << "an edit that failed: its number was given up";
  EXPECT_TRUE(orphan(1, 8, partition(1, 3)));
  EXPECT_FALSE(orphan(1, 9, partition(1, 3)));
  EXPECT_TRUE(orphan(8, 1, partition(1, 2))) << "the partition has no manifest";
  EXPECT_FALSE(orphan(8, 1, partition(1, 1))) << "not open: nothing is known";
  EXPECT_TRUE(orphan(8, 1, partition(2, 0))) << "its topic is gone";
  EXPECT_TRUE(orphan(1, 1, partition(2, 0)));
  EXPECT_FALSE(orphan(9, 8, partition(1, 0), 100)) << "gc/ has it already";
}

}  // namespace
}  // namespace weir::upkeep

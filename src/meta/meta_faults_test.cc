// Every mutation of Meta with every fault at every one of its transactions, and with a crash before or after each.
#include <functional>
#include <map>
#include <set>

#include "meta/testing/meta_fixture.h"

namespace weir::meta::testing {
namespace {

using keyspace::testing::TxnFault;

/// One mutation, run after a fixed preparation.
struct Mutation {
  std::string name;
  std::function<void(World&, Broker&)> prepare;
  std::function<base::Result<void>(World&, Broker&)> act;
};

template <class T>
base::Result<void> only_error(base::Result<T> result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

ObjectRecord object_record(std::uint64_t commit) {
  ObjectRecord record;
  record.session = id<model::SessionId>(1);
  record.commit = model::CommitNumber(commit);
  record.id = id<model::ObjectId>(100 + commit);
  record.key = fmt::format("k/{}", commit);
  record.size_bytes = 10;
  record.footer_bytes = 10;
  return record;
}

ManifestRecord manifest_record(std::uint64_t sequence) {
  return {.partition = partition(1, 0),
          .sequence = sequence,
          .covers_to = model::Offset(static_cast<std::int64_t>(100 * sequence)),
          .page = id<model::ObjectId>(200 + sequence),
          .key = fmt::format("m/{}", sequence),
          .root_bytes = 10};
}

std::vector<GarbageRecord> dropped_objects() {
  return {{.id = id<model::ObjectId>(201), .key = "m/1"}, {.id = id<model::ObjectId>(300), .key = "m/x"}};
}

std::vector<Mutation> mutations() {
  auto nothing = [](World&, Broker&) {};
  auto make_topic = [](World& world, Broker& broker) {
    ASSERT_TRUE(world.run(broker.meta.create_topic(topic_record("t", 1, 150))));
  };
  auto fill_topic = [make_topic](World& world, Broker& broker) {
    make_topic(world, broker);
    std::vector<std::pair<model::TopicPartition, model::Offset>> starts;
    for (int i = 0; i < 130; ++i) {
      ASSERT_TRUE(world.run(broker.meta.open_epoch(partition(1, i), {}, model::Offset(0), model::Offset(0))));
      starts.emplace_back(partition(1, i), model::Offset(1));
    }
    ASSERT_TRUE(world.run(broker.meta.set_log_starts(starts)));
  };
  auto commit_one = [](World& world, Broker& broker) { ASSERT_TRUE(world.run(broker.meta.commit_upload(object_record(1)))); };
  auto commit_manifest = [make_topic](World& world, Broker& broker) {
    make_topic(world, broker);
    ASSERT_TRUE(world.run(broker.meta.commit_manifest({}, manifest_record(1), {}, 8)));
  };
  auto make_garbage = [commit_one](World& world, Broker& broker) {
    commit_one(world, broker);
    ASSERT_TRUE(world.run(broker.meta.unlink_objects(broker.load().objects, 7)));
  };
  return {
      {"create_topic", nothing,
       [](World& world, Broker& broker) { return only_error(world.run(broker.meta.create_topic(topic_record("t", 1)))); }},
      {"update_topic", make_topic,
       [](World& world, Broker& broker) {
         TopicRecord topic = broker.load().topics.at("t");
         topic.configs["x"] = "y";
         return only_error(world.run(broker.meta.update_topic(topic)));
       }},
      {"put_config", nothing,
       [](World& world, Broker& broker) {
         return only_error(
             world.run(broker.meta.put_config({.kind = ConfigKind::broker, .name = "1", .values = {{"a", "b"}}})));
       }},
      {"put_config without values",
       [](World& world, Broker& broker) {
         ASSERT_TRUE(world.run(broker.meta.put_config({.kind = ConfigKind::broker, .name = "1", .values = {{"a", "b"}}})));
       },
       [](World& world, Broker& broker) {
         ConfigRecord config = broker.load().configs.at(0);
         config.values.clear();
         return only_error(world.run(broker.meta.put_config(config)));
       }},
      {"delete_topic", fill_topic,
       [](World& world, Broker& broker) { return world.run(broker.meta.delete_topic(broker.load().topics.at("t"))); }},
      {"open_epoch", fill_topic,
       [](World& world, Broker& broker) {
         const OwnRecord own = broker.load().own.at(partition(1, 0));
         return only_error(world.run(broker.meta.open_epoch(partition(1, 0), own, model::Offset(5), model::Offset(0))));
       }},
      {"set_log_starts", fill_topic,
       [](World& world, Broker& broker) {
         std::vector<std::pair<model::TopicPartition, model::Offset>> starts;
         for (int i = 0; i < 130; ++i) starts.emplace_back(partition(1, i), model::Offset(10 + i));
         return world.run(broker.meta.set_log_starts(starts));
       }},
      {"commit_upload", commit_one,
       [](World& world, Broker& broker) { return only_error(world.run(broker.meta.commit_upload(object_record(2)))); }},
      {"unlink_objects",
       [commit_one](World& world, Broker& broker) {
         commit_one(world, broker);
         ASSERT_TRUE(world.run(broker.meta.commit_upload(object_record(2))));
       },
       [](World& world, Broker& broker) { return world.run(broker.meta.unlink_objects(broker.load().objects, 7)); }},
      {"drop_garbage", make_garbage,
       [](World& world, Broker& broker) { return world.run(broker.meta.drop_garbage(broker.load().garbage)); }},
      {"commit_manifest", commit_manifest,
       [](World& world, Broker& broker) {
         const ManifestRecord old = broker.load().manifests.at(partition(1, 0));
         return only_error(world.run(broker.meta.commit_manifest(old, manifest_record(2), dropped_objects(), 9)));
       }},
      {"register_segments", nothing, [](World& world, Broker& broker) { return world.run(broker.meta.register_segments(1)); }},
      {"drop_session", nothing,
       [](World& world, Broker& broker) { return world.run(broker.meta.drop_session(id<model::SessionId>(1))); }},
  };
}

struct Outcome {
  std::map<std::string, std::string> content;
  std::uint64_t txns = 0;
};

Outcome run_without_faults(const Mutation& mutation) {
  World world;
  Broker broker(world);
  EXPECT_TRUE(broker.begin(1));
  mutation.prepare(world, broker);
  const std::uint64_t before = broker.faulty.txn_count();
  const auto acted = mutation.act(world, broker);
  EXPECT_TRUE(acted.has_value()) << mutation.name << ": " << (acted ? "" : acted.error().text);
  return {.content = world.content(), .txns = broker.faulty.txn_count() - before};
}

TEST(MetaFaults, EveryMutationDecidesWhatBecameOfEachTransaction) {
  for (const Mutation& mutation : mutations()) {
    const Outcome expected = run_without_faults(mutation);
    ASSERT_GE(expected.txns, 1U) << mutation.name;
    for (const TxnFault fault : {TxnFault::refuse, TxnFault::drop, TxnFault::lose_reply, TxnFault::hold}) {
      for (std::uint64_t at = 1; at <= expected.txns; ++at) {
        SCOPED_TRACE(fmt::format("{}, fault {} at txn {}", mutation.name, static_cast<int>(fault), at));
        World world;
        Broker broker(world);
        ASSERT_TRUE(broker.begin(1));
        mutation.prepare(world, broker);
        const std::uint64_t before = broker.faulty.txn_count();
        broker.faulty.choose = [&](std::uint64_t number, const keyspace::Txn&) {
          return number - before == at ? fault : TxnFault::none;
        };
        const auto acted = mutation.act(world, broker);
        EXPECT_TRUE(acted.has_value()) << (acted ? "" : acted.error().text);
        EXPECT_EQ(world.content(), expected.content);
        // A copy that comes late may succeed only by changing nothing (an erase of what is erased).
        world.run(broker.faulty.apply_held());
        EXPECT_EQ(world.content(), expected.content) << "a late copy changed something";
      }
    }
  }
}

TEST(MetaFaults, ProducerIdsAreNeverGivenTwiceWhateverIsLost) {
  for (const TxnFault fault : {TxnFault::refuse, TxnFault::drop, TxnFault::lose_reply, TxnFault::hold}) {
    World world;
    Broker broker(world);
    ASSERT_TRUE(broker.begin(1));
    const std::uint64_t before = broker.faulty.txn_count();
    broker.faulty.choose = [&](std::uint64_t number, const keyspace::Txn&) {
      return (number - before) % 3 == 1 ? fault : TxnFault::none;
    };
    std::int64_t end = 0;
    for (int i = 0; i < 5; ++i) {
      auto first = world.run(broker.meta.allocate_producer_ids(10));
      ASSERT_TRUE(first.has_value());
      EXPECT_GE(first->value(), end);
      end = first->value() + 10;
      world.run(broker.faulty.apply_held());
    }
  }
}

TEST(MetaFaults, BeginningASessionSurvivesLostReplies) {
  for (const TxnFault fault : {TxnFault::refuse, TxnFault::drop, TxnFault::lose_reply, TxnFault::hold}) {
    for (std::uint64_t at = 1; at <= 2; ++at) {  // sealing the former, putting the new one
      SCOPED_TRACE(fmt::format("fault {} at txn {}", static_cast<int>(fault), at));
      World world;
      Broker former(world);
      ASSERT_TRUE(former.begin(1));
      Broker broker(world);
      broker.faulty.choose = [&](std::uint64_t number, const keyspace::Txn&) { return number == at ? fault : TxnFault::none; };
      ASSERT_TRUE(broker.begin(2));
      world.run(broker.faulty.apply_held());
      EXPECT_EQ(world.run(broker.meta.session_live()).value_or(false), true);
      EXPECT_EQ(world.run(former.meta.session_live()).value_or(true), false);
      EXPECT_TRUE(world.run(broker.meta.create_topic(topic_record("t", 1))));
    }
  }
}

// The process dies before or right after each transaction; the next one starts on what is left. The mutation must then be
// undone or whole, and repeatable; nothing of a deleted topic may stay.
TEST(MetaFaults, ACrashAtAnyTransactionLeavesAStartableKeyspace) {
  for (const Mutation& mutation : mutations()) {
    const Outcome expected = run_without_faults(mutation);
    for (std::uint64_t at = 1; at <= expected.txns; ++at) {
      for (const bool applied : {false, true}) {
        SCOPED_TRACE(fmt::format("{}, crash {} txn {}", mutation.name, applied ? "after" : "before", at));
        World world;
        {
          Broker broker(world);
          ASSERT_TRUE(broker.begin(1));
          mutation.prepare(world, broker);
          broker.faulty.crash_at(broker.faulty.txn_count() + at, applied);
          broker.meta.stop();
          EXPECT_FALSE(mutation.act(world, broker).has_value());
        }
        Broker next(world);
        ASSERT_TRUE(next.begin(2));
        const Snapshot snapshot = next.load();
        EXPECT_TRUE(snapshot.leftovers.empty());
        EXPECT_TRUE(world.keys_under("del/").empty());
        if (!snapshot.topics.contains("t")) {
          EXPECT_TRUE(world.keys_under("own/").empty());
          EXPECT_TRUE(world.keys_under("start/").empty());
        }
        if (mutation.name == "delete_topic") EXPECT_EQ(snapshot.topics.contains("t"), at == 1 && !applied);
        std::set<model::ObjectId> ids;
        for (const ObjectRecord& object : snapshot.objects) EXPECT_TRUE(ids.insert(object.id).second);
        for (const GarbageRecord& garbage : snapshot.garbage) {
          EXPECT_TRUE(ids.insert(garbage.id).second) << "an object is live and garbage at once";
        }
      }
    }
  }
}

// The topic is gone once its key is; a keyspace in trouble afterwards must not keep the broker serving a deleted topic.
TEST(MetaFaults, ADeletionIsDoneOnceTheTopicsKeyIsGone) {
  World world;
  {
    Broker broker(world);
    ASSERT_TRUE(broker.begin(1));
    auto topic = world.run(broker.meta.create_topic(topic_record("t", 1)));
    ASSERT_TRUE(topic.has_value());
    ASSERT_TRUE(world.run(broker.meta.open_epoch(partition(1, 0), {}, model::Offset(0), model::Offset(0))));
    const std::uint64_t first = broker.faulty.txn_count() + 1;
    broker.faulty.choose = [&](std::uint64_t number, const keyspace::Txn&) {
      return number > first ? TxnFault::refuse : TxnFault::none;
    };
    EXPECT_TRUE(world.run(broker.meta.delete_topic(*topic)));
    auto found = world.run(broker.meta.find_topic("t"));
    EXPECT_TRUE(found.has_value() && !found->has_value());
    EXPECT_EQ(broker.load().leftovers, (std::vector{id<model::TopicId>(1)}));
  }
  Broker next(world);
  ASSERT_TRUE(next.begin(2));
  EXPECT_TRUE(world.keys_under("own/").empty());
  EXPECT_TRUE(world.keys_under("del/").empty());
}

TEST(MetaFaults, ALateEpochOfADeletedTopicIsSweptAtTheNextStart) {
  World world;
  {
    Broker broker(world);
    ASSERT_TRUE(broker.begin(1));
    auto topic = world.run(broker.meta.create_topic(topic_record("t", 1)));
    ASSERT_TRUE(topic.has_value());
    ASSERT_TRUE(world.run(broker.meta.delete_topic(*topic)));
    ASSERT_TRUE(world.run(broker.meta.open_epoch(partition(1, 0), {}, model::Offset(0), model::Offset(0))));
    EXPECT_EQ(world.keys_under("own/").size(), 1U);
  }
  Broker next(world);
  auto seen = next.load();
  EXPECT_EQ(seen.leftovers, (std::vector{id<model::TopicId>(1)}));
  EXPECT_TRUE(seen.own.empty()) << "a partition without a topic is not opened";
  ASSERT_TRUE(next.begin(2));
  EXPECT_TRUE(world.keys_under("own/").empty());
}

TEST(MetaFaults, ACommitThatCameLateIsRecognisedByItsObject) {
  World world;
  Broker broker(world);
  ASSERT_TRUE(broker.begin(1));
  const std::uint64_t before = broker.faulty.txn_count();
  // The first copy is held, the second one too; the first is applied while the third is on its way.
  broker.faulty.choose = [&](std::uint64_t number, const keyspace::Txn&) {
    return number - before <= 2 ? TxnFault::hold : TxnFault::lose_reply;
  };
  std::uint64_t resent = 0;
  auto choose = broker.faulty.choose;
  broker.faulty.choose = [&, choose](std::uint64_t number, const keyspace::Txn& txn) {
    ++resent;
    return resent > 3 ? TxnFault::none : choose(number, txn);
  };
  auto committed = world.run(broker.meta.commit_upload(object_record(1)));
  ASSERT_TRUE(committed.has_value()) << committed.error().text;
  EXPECT_EQ(resent, 4U);
  EXPECT_EQ(broker.meta.last_commit(), model::CommitNumber(1));
  EXPECT_EQ(world.run(broker.faulty.apply_held()), 0U);
  EXPECT_TRUE(world.run(broker.meta.commit_upload(object_record(2)))) << "the revision of com/S was taken over";
}

}  // namespace
}  // namespace weir::meta::testing

// Edits against a plain list of entries: whatever is added and dropped, the manifest's leaves, read back from the bodies that were
// written, hold exactly what the list holds, and garbage is exactly what went away.
#include "object/manifest_edit.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace weir::object {
namespace {

// Distinct for every n: the bits that a uuid's version takes lie elsewhere.
template <class Id>
Id id_of(std::uint64_t n) {
  return Id{model::Uuid::from_random(n << 8U, 5)};
}

/// A store, and the one partition's manifest in it.
class World {
 public:
  ManifestIdentity identity{.cluster = id_of<model::ClusterId>(1),
                            .partition = {.topic = id_of<model::TopicId>(2), .partition = model::PartitionIndex(0)}};
  std::map<ManifestName, std::vector<std::byte>> pages;
  std::set<ManifestName> alive;  ///< put and not dropped: objects and pages
  std::optional<ManifestRoot> root;
  PagePlace place;
  std::vector<ManifestEntry> expected;
  model::Offset next{0};
  model::SessionId session = id_of<model::SessionId>(1);
  std::uint64_t serial = 100;
  std::size_t drops_left_count = 0;

  ManifestName name() {
    return {.incarnation = 1,
            .session = session,
            .sequence = (root ? root->sequence : 0) + 1,
            .id = id_of<model::ObjectId>(serial++)};
  }
  AddedObject make(std::int64_t offset_count, std::size_t aborted = 0) {
    AddedObject added;
    added.entry = {.object = name(),
                   .size_bytes = 1000,
                   .footer_position = 900,
                   .footer_bytes = 60,
                   .base_offset = next,
                   .end_offset = next + offset_count,
                   .payload_bytes = 7 * static_cast<std::uint64_t>(offset_count),
                   .max_timestamp = static_cast<base::WallMs>(serial)};
    for (std::size_t i = 0; i < aborted; ++i)
      added.entry.aborted.push_back({.producer_id = model::ProducerId(1), .first = next, .last = next});
    next = added.entry.end_offset;
    return added;
  }
  Leaf read(const LeafRef& ref) {
    const std::vector<std::byte>& body = pages.at(ref.page);
    auto leaf = parse_leaf(bytes::Bytes(body).subspan(ref.position, ref.size_bytes), ref, identity);
    EXPECT_TRUE(leaf.has_value()) << (leaf ? "" : leaf.error().text);
    return std::move(*leaf);
  }
  ManifestEditInput input(std::vector<AddedObject> added, model::Offset log_start) {
    ManifestEditInput in{.identity = identity, .page = name(), .added = std::move(added), .log_start = log_start};
    if (root) {
      in.old_root = &*root;
      in.old_place = place;
      const ManifestEditNeeds needs = manifest_edit_needs(*root, log_start, !in.added.empty());
      if (needs.first_leaf) in.first_leaf = read(root->leaves.front());
      if (needs.last_leaf) in.last_leaf = read(root->leaves.back());
    }
    return in;
  }
  ManifestEdit apply(std::vector<AddedObject> added, model::Offset log_start) {
    for (const AddedObject& one : added) {
      alive.insert(one.entry.object);
      expected.push_back(one.entry);
    }
    ManifestEditInput in = input(std::move(added), log_start);
    const ManifestName page = in.page;
    auto edit = edit_manifest(std::move(in));
    EXPECT_TRUE(edit.has_value()) << (edit ? "" : edit.error().text);
    alive.insert(page);
    pages[page] = edit->body;
    std::size_t dropped_objects = 0;
    for (const ManifestName& name : edit->dropped) {
      EXPECT_EQ(alive.erase(name), 1U) << "dropped once";
      if (pages.erase(name) == 0) ++dropped_objects;
    }
    for (std::size_t i = 0; i < dropped_objects; ++i) {
      EXPECT_LE(expected.front().end_offset, log_start);
      expected.erase(expected.begin());
    }
    EXPECT_LE(edit->dropped.size(), edit_drops_max + 8);
    if (!edit->drops_left) EXPECT_TRUE(expected.empty() || expected.front().end_offset > log_start);
    drops_left_count += edit->drops_left ? 1 : 0;
    root = edit->root;
    place = edit->place;
    return std::move(*edit);
  }
  void check() {
    const std::vector<std::byte>& body = pages.at(place.page);
    const auto parsed = parse_root(bytes::Bytes(body).subspan(place.position, place.size_bytes), place, identity);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().text;
    EXPECT_EQ(*parsed, *root);
    std::vector<ManifestEntry> found;
    std::set<ManifestName> named{place.page};
    for (const LeafRef& ref : root->leaves) {
      named.insert(ref.page);
      for (ManifestEntry& entry : read(ref).entries) {
        named.insert(entry.object);
        found.push_back(std::move(entry));
      }
      EXPECT_LE(ref.entry_count, leaf_entries_max);
    }
    EXPECT_EQ(found, expected);
    EXPECT_EQ(named, alive) << "nothing leaks and nothing that is named goes";
    EXPECT_EQ(root->covers_to, next);
  }
};

TEST(ManifestEdit, AddsAndDropsAsAPlainListWould) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    World world;
    model::Offset log_start{0};
    for (int step = 0; step < 60; ++step) {
      std::vector<AddedObject> added;
      const std::size_t count = random() % 4 == 0 ? random() % 700 : random() % 3;
      for (std::size_t i = 0; i < std::max<std::size_t>(count, world.root ? 0 : 1); ++i)
        added.push_back(world.make(1 + random() % 50));
      if (random() % 3 == 0) {
        log_start = std::max(log_start, model::Offset(static_cast<std::int64_t>(random() % (world.next.value() + 1))));
      }
      world.apply(std::move(added), log_start);
      world.check();
    }
  }
}

TEST(ManifestEdit, ManyDropsTakeSeveralEdits) {
  World world;
  std::vector<AddedObject> added;
  for (int i = 0; i < 250; ++i) added.push_back(world.make(1));
  world.apply(std::move(added), model::Offset(0));
  EXPECT_TRUE(world.apply({}, model::Offset(250)).drops_left);
  EXPECT_TRUE(world.apply({}, model::Offset(250)).drops_left);
  EXPECT_FALSE(world.apply({}, model::Offset(250)).drops_left);
  world.check();
  EXPECT_TRUE(world.root->leaves.empty());
  EXPECT_EQ(world.root->covers_to, model::Offset(250));
}

// DeleteRecords went past everything: what comes next begins behind a gap that nobody may read any more.
TEST(ManifestEdit, AGapIsAllowedOnlyBelowTheLogStart) {
  World world;
  std::vector<AddedObject> first;
  first.push_back(world.make(10));
  world.apply(std::move(first), model::Offset(0));
  world.next = model::Offset(50);
  AddedObject later = world.make(10);
  ManifestEditInput input = world.input({later}, model::Offset(40));
  auto edit = edit_manifest(std::move(input));
  ASSERT_FALSE(edit.has_value());
  EXPECT_EQ(edit.kind(), base::ErrorKind::invalid);
  world.apply({later}, model::Offset(50));
  world.check();
}

TEST(ManifestEdit, EntriesMustFollow) {
  World world;
  std::vector<AddedObject> first;
  first.push_back(world.make(10));
  world.apply(std::move(first), model::Offset(0));
  for (const std::int64_t base : {9, 11}) {
    World copy = world;
    copy.next = model::Offset(base);
    AddedObject wrong = copy.make(5);
    EXPECT_FALSE(edit_manifest(copy.input({wrong}, model::Offset(0))).has_value()) << base;
  }
}

TEST(ManifestEdit, EpochsProducersAndWritersAccumulate) {
  World world;
  AddedObject one = world.make(10);
  one.epochs = {{.epoch = model::LeaderEpoch(1), .start = model::Offset(0)}};
  one.producers = {{.producer_id = model::ProducerId(5),
                    .epoch = model::ProducerEpoch(0),
                    .batches = {{.base_sequence = model::Sequence(0),
                                 .last_sequence = model::Sequence(4),
                                 .base_offset = model::Offset(0),
                                 .last_offset = model::Offset(4),
                                 .max_timestamp = 100}},
                    .open_transaction_start = model::Offset(0)}};
  world.apply({one}, model::Offset(0));
  EXPECT_EQ(world.root->producers[0].state.open_transaction_start, model::Offset(-1))
      << "what began below covers_to is decided, though the marker lies behind it";
  world.session = id_of<model::SessionId>(2);
  AddedObject two = world.make(10);
  two.epochs = {{.epoch = model::LeaderEpoch(1), .start = model::Offset(0)},
                {.epoch = model::LeaderEpoch(2), .start = model::Offset(12)}};
  two.producers = {
      {.producer_id = model::ProducerId(5), .epoch = model::ProducerEpoch(0), .batches = {}, .coordinator_epoch = 7},
      {.producer_id = model::ProducerId(6), .epoch = model::ProducerEpoch(1), .batches = {}}};
  world.apply({two}, model::Offset(0));
  world.check();
  const ManifestRoot& root = *world.root;
  ASSERT_EQ(root.epochs.size(), 2U);
  EXPECT_EQ(root.epochs[1].start, model::Offset(12));
  ASSERT_EQ(root.producers.size(), 2U);
  EXPECT_EQ(root.producers[0].state.batches.size(), 1U) << "what an entry does not restate stays";
  EXPECT_EQ(root.producers[0].state.open_transaction_start, model::Offset(-1));
  EXPECT_EQ(root.producers[0].state.coordinator_epoch, 7);
  EXPECT_EQ(root.producers[0].last_offset, model::Offset(19));
  ASSERT_EQ(root.writers.size(), 2U);
  EXPECT_EQ(root.writers[1].first_sequence, 2U);
  EXPECT_EQ(root.writers[1].session, id_of<model::SessionId>(2));
  world.apply({world.make(1)}, model::Offset(15));
  EXPECT_EQ(world.root->epochs.size(), 1U) << "epochs below the log start are forgotten";
}

TEST(ManifestEdit, OldProducersAreForgotten) {
  World world;
  AddedObject one = world.make(10);
  const auto producer = [](std::int64_t id, base::WallMs at, std::int64_t open) {
    return ProducerDelta{.producer_id = model::ProducerId(id),
                         .epoch = model::ProducerEpoch(0),
                         .batches = {{.base_offset = model::Offset(0), .last_offset = model::Offset(0), .max_timestamp = at}},
                         .open_transaction_start = model::Offset(open)};
  };
  one.producers = {producer(1, 10, -1), producer(2, 10, 0), producer(3, 30, -1)};
  ManifestEditInput input = world.input({one}, model::Offset(0));
  input.producers_expire_before_ms = 20;
  const auto edit = edit_manifest(std::move(input));
  ASSERT_TRUE(edit.has_value());
  ASSERT_EQ(edit->root.producers.size(), 1U);
  EXPECT_EQ(edit->root.producers[0].state.producer_id, model::ProducerId(3));
}

TEST(ManifestEdit, NumbersOfFailedEditsAreNobodys) {
  World world;
  world.apply({world.make(10)}, model::Offset(0));
  std::vector<AddedObject> added{world.make(10)};
  ManifestEditInput input = world.input(std::move(added), model::Offset(0));
  input.page.sequence = 4;
  const auto edit = edit_manifest(std::move(input));
  ASSERT_TRUE(edit.has_value());
  const std::vector<ManifestWriter>& writers = edit->root.writers;
  ASSERT_EQ(writers.size(), 3U);
  EXPECT_EQ(writers[1].first_sequence, 2U);
  EXPECT_TRUE(writers[1].session == model::SessionId());
  EXPECT_EQ(writers[2].first_sequence, 4U);
  EXPECT_EQ(writers[2].session, world.session);
  const auto read =
      parse_root(bytes::Bytes(edit->body).subspan(edit->place.position, edit->place.size_bytes), edit->place, world.identity);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, edit->root);
}

// Aborted spans make entries large: a leaf is closed by its bytes too.
TEST(ManifestEdit, LeavesAreBoundedInBytes) {
  World world;
  std::vector<AddedObject> added;
  for (int i = 0; i < 6; ++i) added.push_back(world.make(10, 20000));
  world.apply(std::move(added), model::Offset(0));
  world.check();
  EXPECT_EQ(world.root->leaves.size(), 3U);
  for (const LeafRef& ref : world.root->leaves) EXPECT_LE(ref.size_bytes, leaf_bytes_max + 4096);
}

// Ten million objects: the root stays small, and one leaf tells which object.
TEST(ManifestEdit, TenMillionObjectsUnderOneRoot) {
  World world;
  constexpr std::size_t leaf_count = 10'000;
  ManifestRoot root{.sequence = 1, .covers_to = model::Offset(leaf_count * leaf_entries_max)};
  for (std::size_t i = 0; i < leaf_count; ++i) {
    root.leaves.push_back({.page = world.name(),
                           .size_bytes = 112'000,
                           .base_offset = model::Offset(static_cast<std::int64_t>(i * leaf_entries_max)),
                           .end_offset = model::Offset(static_cast<std::int64_t>((i + 1) * leaf_entries_max)),
                           .entry_count = leaf_entries_max});
  }
  const std::vector<std::byte> page = encode_root(root, world.identity, world.name().id, 0);
  EXPECT_LT(page.size(), 1'200'000U);
  EXPECT_EQ(find_leaf(root, model::Offset(7'654'321)), 7654U);
  EXPECT_EQ(find_leaf(root, root.covers_to), root.leaves.size());
}

}  // namespace
}  // namespace weir::object

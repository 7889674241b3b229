// A partition with ten million objects: what the keyspace holds of it, what an open reads and what a fetch reads are as with one.
#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "log/testing/log_fixture.h"
#include "meta/codec.h"
#include "meta/keys.h"
#include "object/manifest.h"

namespace weir::log::testing {
namespace {

constexpr std::int64_t records_per_object = 2;

// Every object and leaf of the history is made when it is asked for; nothing but the page object's root is kept.
class GeneratedHistory final : public store::ObjectStore {
 public:
  GeneratedHistory(store::ObjectStore& inner, model::ClusterId cluster, std::size_t leaves) : inner_(inner), leaves_(leaves) {
    identity_ = {.cluster = cluster, .partition = partition()};
    const object::Builder::Finished first = build(0);
    object_bytes_ = first.size_bytes;
    footer_position_ = first.footer_position;
    footer_bytes_ = first.footer_bytes;
    payload_bytes_ = first.footer.entries[0].payload_bytes;
  }
  std::size_t get_count = 0;
  std::uint64_t get_bytes = 0;

  [[nodiscard]] std::int64_t object_count() const { return static_cast<std::int64_t>(leaves_ * object::leaf_entries_max); }
  static base::WallMs time_of(std::int64_t object) { return test_time + object; }
  /// Pages are made for the leaves that the test comes to; of the others only the checksum is left out, which nobody reads.
  [[nodiscard]] object::ManifestRoot make_root() const {
    const std::size_t page_bytes = object::encode_leaf(make_leaf(0), identity_, page_of(0).id, 0).size();
    object::ManifestRoot root{.sequence = leaves_,
                              .covers_to = model::Offset(object_count() * records_per_object),
                              .epochs = {{.epoch = model::LeaderEpoch(0), .start = model::Offset(0)}},
                              .writers = {{.first_sequence = 1, .session = session()}}};
    constexpr auto entries = static_cast<std::int64_t>(object::leaf_entries_max);
    for (std::size_t i = 0; i < leaves_; ++i) {
      std::uint32_t crc = 0;
      if (i == leaves_ / 2 || i + 1 == leaves_) {
        const std::vector<std::byte> page = object::encode_leaf(make_leaf(i), identity_, page_of(i).id, 0);
        crc = bytes::load_le<std::uint32_t>(page.data() + page.size() - 4);
      }
      const auto first = static_cast<std::int64_t>(i) * entries;
      root.leaves.push_back({.page = page_of(i),
                             .size_bytes = static_cast<std::uint32_t>(page_bytes),
                             .crc = crc,
                             .base_offset = model::Offset(first * records_per_object),
                             .end_offset = model::Offset((first + entries) * records_per_object),
                             .entry_count = static_cast<std::uint32_t>(entries),
                             .payload_bytes = static_cast<std::uint64_t>(entries) * payload_bytes_,
                             .max_timestamp = time_of(first + entries - 1),
                             .oldest_max_timestamp = time_of(first)});
    }
    return root;
  }

  runtime::Task<base::Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                                 store::GetOptions options) override {
    ++get_count;
    get_bytes += size_bytes;
    const auto name = object::parse_object_key(key);
    const std::uint64_t number = name ? number_of(name->id) : 0;
    if (number == 0) co_return co_await inner_.get(std::move(key), offset_bytes, size_bytes, options);
    if (name->commit.value() > 0 && number > leaf_numbers) {
      const std::size_t leaf = number - leaf_numbers - 1;
      const std::vector<std::byte> page = object::encode_leaf(make_leaf(leaf), identity_, name->id, 0);
      co_return bytes::Buffer::copy_of(bytes::as_text(bytes::Bytes(page).subspan(offset_bytes, size_bytes)));
    }
    const object::Builder::Finished built = build(static_cast<std::int64_t>(number) - 1);
    std::string body;
    for (const bytes::Buffer& piece : built.body) body += bytes::as_text(piece.view());
    co_return bytes::Buffer::copy_of(std::string_view(body).substr(offset_bytes, size_bytes));
  }
  runtime::Task<base::Result<void>> put(std::string key, bytes::BufferList body, store::PutOptions options) override {
    co_return co_await inner_.put(std::move(key), std::move(body), options);
  }
  runtime::Task<base::Result<store::ObjectInfo>> head(std::string key, store::GetOptions options) override {
    co_return co_await inner_.head(std::move(key), options);
  }
  runtime::Task<base::Result<void>> remove(std::vector<std::string> keys, store::GetOptions options) override {
    co_return co_await inner_.remove(std::move(keys), options);
  }
  runtime::Task<base::Result<store::ListPage>> list(std::string prefix, std::string after, store::GetOptions options) override {
    co_return co_await inner_.list(std::move(prefix), std::move(after), options);
  }
  [[nodiscard]] std::string description() const override { return "generated"; }
  runtime::Task<void> stop() override { co_await inner_.stop(); }

 private:
  static constexpr std::uint64_t leaf_numbers = 1ULL << 40U;
  static constexpr std::uint64_t id_high = 0x7777000011112222ULL;
  static model::SessionId session() { return id<model::SessionId>(77); }
  static model::ObjectId id_of(std::uint64_t number) {
    return model::ObjectId{model::Uuid::from_random(id_high, number << 8U)};
  }
  // 0: not one of ours.
  static std::uint64_t number_of(const model::ObjectId& of) {
    std::uint64_t number = 0;
    for (std::size_t i = 15; i > 8; --i) number = number << 8U | of.bytes[i];
    return of == id_of(number) ? number : 0;
  }
  [[nodiscard]] object::ManifestName page_of(std::size_t leaf) const {
    return {.incarnation = 1, .session = session(), .sequence = leaf + 1, .id = id_of(leaf_numbers + leaf + 1)};
  }
  [[nodiscard]] object::ManifestName name_of(std::int64_t object) const {
    return {.incarnation = 1,
            .session = session(),
            .sequence = static_cast<std::uint64_t>(object) / object::leaf_entries_max + 1,
            .id = id_of(static_cast<std::uint64_t>(object) + 1)};
  }
  [[nodiscard]] object::Leaf make_leaf(std::size_t leaf) const {
    object::Leaf made;
    made.entries.reserve(object::leaf_entries_max);
    for (std::size_t i = 0; i < object::leaf_entries_max; ++i) {
      const auto n = static_cast<std::int64_t>(leaf * object::leaf_entries_max + i);
      made.entries.push_back({.object = name_of(n),
                              .size_bytes = object_bytes_,
                              .footer_position = footer_position_,
                              .footer_bytes = footer_bytes_,
                              .base_offset = model::Offset(n * records_per_object),
                              .end_offset = model::Offset((n + 1) * records_per_object),
                              .payload_bytes = payload_bytes_,
                              .max_timestamp = time_of(n),
                              .created_ms = time_of(n)});
    }
    return made;
  }
  [[nodiscard]] object::Builder::Finished build(std::int64_t n) const {
    const object::ManifestName name = name_of(n);
    object::Builder builder({.cluster = identity_.cluster, .object = name.id}, name.session,
                            model::CommitNumber(name.sequence));
    bytes::Buffer records = batch({.timestamps = times(records_per_object, time_of(n)), .value = "a value of fixed size"});
    std::string text(bytes::as_text(records.view()));
    const model::Offset base(n * records_per_object);
    for (std::size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(base.value() >> (56 - 8 * i));  // outside Kafka's checksum
    const bytes::Buffer payload = bytes::Buffer::copy_of(text);
    builder.add_partition({.partition = identity_.partition,
                           .base_offset = base,
                           .end_offset = base + records_per_object,
                           .last_stable_offset = base + records_per_object},
                          {{.payload = payload,
                            .payload_crc = bytes::crc32c(payload.view()),
                            .base_offset = base,
                            .end_offset = base + records_per_object,
                            .max_timestamp = time_of(n)}});
    return std::move(builder).finish();
  }

  store::ObjectStore& inner_;
  std::size_t leaves_;
  object::ManifestIdentity identity_;
  std::uint64_t object_bytes_ = 0;
  std::uint64_t footer_position_ = 0;
  std::uint32_t footer_bytes_ = 0;
  std::uint64_t payload_bytes_ = 0;
};

struct Facts {
  std::size_t keys = 0;
  std::size_t keyspace_bytes = 0;
  std::size_t open_gets = 0;
  std::size_t fetch_gets = 0;  ///< cold, from the middle
  std::size_t next_gets = 0;   ///< the object behind it
  std::size_t by_time_gets = 0;
  std::uint64_t root_bytes = 0;
};

runtime::Task<bool> commit(meta::Meta* meta, meta::ManifestRecord record) {
  const auto done = co_await meta->commit_manifest({}, std::move(record), {}, 1);
  co_return done.has_value();
}
runtime::Task<std::pair<std::size_t, std::size_t>> keyspace_size(keyspace::Keyspace* keyspace) {
  std::size_t keys = 0;
  std::size_t bytes = 0;
  const auto all = co_await keyspace::range_prefix(*keyspace, "", base::MonoTime::max());
  if (all) {
    for (const auto& entry : all->entries) {
      ++keys;
      bytes += entry.key.size() + entry.value.size();
    }
  }
  co_return std::pair(keys, bytes);
}

// A broker whose only partition has that much history.
Facts facts_with(std::size_t leaves) {
  Facts facts;
  Cluster cluster;
  {
    Broker first(cluster);
    first.start();
    first.create_topic();
    GeneratedHistory history(cluster.objects, cluster.cluster_id, leaves);
    const object::ManifestRoot root = history.make_root();
    const object::ManifestIdentity identity{.cluster = cluster.cluster_id, .partition = partition()};
    const object::ManifestName page{
        .incarnation = 1, .session = first.session.id, .sequence = root.sequence, .id = id<model::ObjectId>(5)};
    const std::vector<std::byte> body = object::encode_root(root, identity, page.id, 0);
    facts.root_bytes = body.size();
    const object::PagePlace place{.page = page,
                                  .size_bytes = static_cast<std::uint32_t>(body.size()),
                                  .crc = bytes::load_le<std::uint32_t>(body.data() + body.size() - 4)};
    EXPECT_TRUE(
        cluster.run(cluster.objects.put(object::format_object_key(page.key(identity)),
                                        {bytes::Buffer::copy_of(bytes::as_text(body))}, {.crc32c = bytes::crc32c(body)})));
    EXPECT_TRUE(cluster.run(commit(&first.meta, manifest_record(identity, place, root))));
  }
  std::tie(facts.keys, facts.keyspace_bytes) = cluster.run(keyspace_size(&cluster.keyspace));
  GeneratedHistory history(cluster.objects, cluster.cluster_id, leaves);
  Broker second(cluster, {.block_cache_bytes = 0}, &history);
  second.start();
  facts.open_gets = std::exchange(history.get_count, 0);
  const std::int64_t middle = history.object_count() / 2;
  const ReadOutcome got = second.read(middle * records_per_object, 1);
  EXPECT_EQ(got.error, Errc::none) << got.message;
  EXPECT_EQ(got.end.value(), (middle + 1) * records_per_object);
  facts.fetch_gets = std::exchange(history.get_count, 0);
  EXPECT_EQ(second.read((middle + 1) * records_per_object, 1).error, Errc::none);
  facts.next_gets = std::exchange(history.get_count, 0);
  const std::int64_t other = history.object_count() - 3;
  EXPECT_EQ(second.query(OffsetQuery::by_time, GeneratedHistory::time_of(other)).offset.value(), other * records_per_object);
  facts.by_time_gets = std::exchange(history.get_count, 0);
  EXPECT_EQ(second.state().high_watermark.value(), history.object_count() * records_per_object);
  return facts;
}

TEST(TenMillionObjects, CostWhatThousandCost) {
  const Facts few = facts_with(2);
  const Facts many = facts_with(10'000);
  EXPECT_EQ(many.keys, few.keys);
  EXPECT_LE(many.keyspace_bytes, few.keyspace_bytes + 8) << "numbers in the page's name have more digits";
  EXPECT_EQ(few.open_gets, 1U);
  EXPECT_EQ(many.open_gets, 1U);
  EXPECT_EQ(many.fetch_gets, 3U) << "leaf, footer, block";
  EXPECT_EQ(many.fetch_gets, few.fetch_gets);
  EXPECT_EQ(many.next_gets, 2U) << "the leaf is cached";
  EXPECT_EQ(many.next_gets, few.next_gets);
  EXPECT_LE(many.by_time_gets, 3U);
  EXPECT_LT(many.root_bytes, 1'200'000U);
}

}  // namespace
}  // namespace weir::log::testing
